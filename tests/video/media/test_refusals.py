"""What enhance_video refuses: one sentence before any work, and nothing left behind."""

import os
from dataclasses import replace
from fractions import Fraction

import pytest
import torch

from support.media import add_extras, png, write_clip
from support.modules import LUMA_SPEC, Pointwise
from vqe_fast.models import create_model
from vqe_fast.video import VideoError, enhance_video


@pytest.fixture
def clip(tmp_path):
    return write_clip(tmp_path / "in.mp4", frames=3)


def assert_refused(source, target, *words, model=None, **options):
    """Fails unless a one-sentence VideoError has all the words, and the directory is unchanged."""
    before = {path: path.stat().st_size for path in source.parent.rglob("*")}
    with pytest.raises(VideoError) as caught:
        enhance_video(source, target, Pointwise() if model is None else model, **options)
    sentence = str(caught.value)
    assert "\n" not in sentence
    for word in words:
        assert word in sentence
    assert {path: path.stat().st_size for path in source.parent.rglob("*")} == before


class TestSource:
    def test_missing(self, tmp_path):
        assert_refused(tmp_path / "none.mp4", tmp_path / "out.mp4", "there is no file", "none.mp4")

    def test_directory(self, tmp_path):
        (tmp_path / "folder.mp4").mkdir()
        assert_refused(tmp_path / "folder.mp4", tmp_path / "out.mp4", "is not a file")

    def test_not_a_video(self, tmp_path):
        source = tmp_path / "in.mp4"
        source.write_bytes(b"hello, this is no video\n" * 50)
        assert_refused(source, tmp_path / "out.mp4", "is not a video")

    def test_empty(self, tmp_path):
        source = tmp_path / "in.mp4"
        source.touch()
        assert_refused(source, tmp_path / "out.mp4", "is empty")

    def test_audio_only(self, tmp_path):
        source = write_clip(tmp_path / "in.mkv", codec=None, audio=("aac",))
        assert_refused(source, tmp_path / "out.mp4", "no video stream", "audio")

    def test_cover_art_is_no_video(self, tmp_path):
        """A song with cover art has a stream of type video, with one picture in it."""
        source = write_clip(
            tmp_path / "in.mkv",
            codec=None,
            audio=("aac", "aac"),
            prepare=lambda container, _: container.add_attachment("c.png", "image/png", png()),
        )
        assert_refused(source, tmp_path / "out.mkv", "no video stream")

    def test_nothing_decodes(self, clip, tmp_path):
        """A complete header over damaged samples."""
        data = bytearray(clip.read_bytes())
        start = data.index(b"mdat") + 4
        end = data.index(b"moov") - 4
        data[start:end] = bytes(end - start)
        clip.write_bytes(data)
        assert_refused(clip, tmp_path / "out.mp4", "no frame", "could be decoded")

    @pytest.mark.parametrize("cut", [100, 1500])
    def test_truncated_before_the_first_frame(self, tmp_path, cut):
        source = write_clip(tmp_path / "in.mp4")
        source.write_bytes(source.read_bytes()[:cut])
        with pytest.raises(VideoError, match=r"is not a video|could be decoded"):
            enhance_video(source, tmp_path / "out.mp4", "identity")

    def test_says_that_frames_are_huge(self, tmp_path):
        """A decoder that believes a damaged header asks for gigabytes."""
        source = write_clip(tmp_path / "in.mkv", codec="ffv1", size=(320, 272), frames=2)
        data = source.read_bytes()
        assert data.count(b"\xb0\x82\x01\x40") == 1  # PixelWidth, of two bytes
        data = data.replace(b"\xb0\x82\x01\x40", b"\xb0\x82\xff\xff")
        source.write_bytes(data.replace(b"\xba\x82\x01\x10", b"\xba\x82\xff\xff"))
        assert_refused(source, tmp_path / "out.mkv", "no frame", "more than 16384x16384 pixels")

    def test_no_luma(self, tmp_path):
        """Green taken for luma would be enhanced as such."""
        source = write_clip(tmp_path / "in.webm", codec="libvpx-vp9", pixel_format="gbrp", frames=2)
        assert_refused(source, tmp_path / "out.mp4", "gbrp", "give a pix_fmt")

    def test_transparency_beside_the_picture(self, tmp_path):
        """Decoders of other codecs than VP8 and VP9 leave the layer out without a word."""
        source = write_clip(
            tmp_path / "in.mkv",
            frames=2,
            prepare=lambda _, video: video.metadata.update(alpha_mode="1"),
        )
        assert_refused(source, tmp_path / "out.mp4", "transparency")

    def test_change_of_size(self, tmp_path):
        """PyAV would scale the later frames to the size of the first without a word."""
        parts = [
            write_clip(tmp_path / f"{width}.h264", size=(width, 48), frames=6).read_bytes()
            for width in (64, 96)
        ]
        source = tmp_path / "in.h264"
        source.write_bytes(b"".join(parts))
        assert_refused(source, tmp_path / "out.mp4", "64x48", "96x48", "at frame 6")

    def test_change_of_format(self, tmp_path):
        parts = [
            write_clip(tmp_path / f"{name}.h264", pixel_format=name, frames=6).read_bytes()
            for name in ("yuv420p", "yuv420p10le")
        ]
        source = tmp_path / "in.h264"
        source.write_bytes(b"".join(parts))
        words = ("64x48 yuv420p to 64x48 yuv420p10le", "at frame 6")
        assert_refused(source, tmp_path / "out.mp4", *words)


class TestTarget:
    def test_exists(self, clip, tmp_path):
        (tmp_path / "out.mp4").write_text("precious")
        assert_refused(clip, tmp_path / "out.mp4", "exists already")

    @pytest.mark.parametrize("overwrite", [False, True])
    def test_is_the_source(self, clip, overwrite):
        assert_refused(clip, clip, "is the source itself", overwrite=overwrite)

    def test_is_a_link_to_the_source(self, clip, tmp_path):
        """Compared by name only, the source would be overwritten while it is read."""
        (tmp_path / "link.mp4").symlink_to(clip)
        assert_refused(clip, tmp_path / "link.mp4", "is the source itself", overwrite=True)

    def test_directory_missing(self, clip, tmp_path):
        assert_refused(clip, tmp_path / "none" / "out.mp4", "there is no directory")

    def test_is_a_directory(self, clip, tmp_path):
        (tmp_path / "folder.mp4").mkdir()
        assert_refused(clip, tmp_path / "folder.mp4", "is a directory", overwrite=True)

    @pytest.mark.parametrize("overwrite", [False, True])
    def test_is_a_pipe(self, clip, tmp_path, overwrite):
        """Replaced by a file, /dev/null would be gone."""
        os.mkfifo(tmp_path / "pipe.mp4")
        words = ("a device or a pipe",)
        assert_refused(clip, tmp_path / "pipe.mp4", *words, overwrite=overwrite)

    @pytest.mark.parametrize("name", ["out", "out.avi", "out.mp3"])
    def test_unknown_container(self, clip, tmp_path, name):
        assert_refused(clip, tmp_path / name, ".mp4, .mov, .mkv, .webm")

    def test_directory_is_a_file(self, clip):
        assert_refused(clip, clip / "out.mp4", "there is no directory")

    def test_name_too_long(self, clip, tmp_path):
        """The temporary name is short: only the renaming, after all the work, would fail."""
        assert_refused(clip, tmp_path / f"{'x' * 300}.mp4", "File name too long")

    def test_link_in_a_circle(self, clip, tmp_path):
        (tmp_path / "out.mp4").symlink_to("out.mp4")
        with pytest.raises(VideoError, match="symbolic links"):
            enhance_video(clip, tmp_path / "out.mp4", Pointwise())

    def test_directory_not_writable(self, clip):
        assert_refused(clip, type(clip)("/proc/out.mp4"), "cannot be written")

    @pytest.mark.parametrize(
        ("name", "codec", "words"),
        [
            ("out.webm", "libx264", (".mp4 or .mov or .mkv", "libsvtav1")),
            ("out.webm", "libx265", (".mp4 or .mov or .mkv", "libvpx-vp9")),
            ("out.webm", "ffv1", (".mkv or .mp4", "libsvtav1 or libvpx-vp9")),
            ("out.mov", "libsvtav1", (".mp4 or .mkv or .webm", "libx264")),
            ("out.mov", "libvpx-vp9", (".webm or .mkv or .mp4", "libx264")),
            ("out.mov", "ffv1", (".mkv or .mp4",)),
        ],
    )
    def test_container_cannot_hold_the_codec(self, clip, tmp_path, name, codec, words):
        assert_refused(clip, tmp_path / name, "does not hold", *words, codec=codec)

    def test_container_cannot_carry_a_stream(self, tmp_path):
        """Found while the header is written, if at all: then nothing is done yet."""
        source = write_clip(tmp_path / "in.mkv", audio=("aac", "aac"), prepare=add_extras)
        assert_refused(
            source, tmp_path / "out.mp4", "stream 4", "attachment", "write to .mkv instead"
        )

    def test_container_fails_at_the_end(self, tmp_path):
        """.mp4 takes the header and the packets of sound whose channels have no places.

        Its muxer complains at the end of the work only, when it writes what it has kept.
        """
        source = write_clip(
            tmp_path / "in.avi",
            codec="mpeg4",
            time_base=Fraction(1, 25),
            audio=("pcm_s16le",),
            layout="stereo",
        )
        assert_refused(source, tmp_path / "out.mp4", "audio, pcm_s16le", "write to .mov or .mkv")

    def test_webm_takes_opus_and_vorbis_only(self, tmp_path):
        source = write_clip(tmp_path / "in.mp4", audio=("aac",))
        words = ("stream 1", "aac", "write to .mp4 or .mkv instead")
        assert_refused(source, tmp_path / "out.webm", *words, codec="libvpx-vp9")

    def test_chroma_siting_would_be_lost(self, tmp_path):
        source = write_clip(
            tmp_path / "in.mp4",
            frames=3,
            prepare=lambda _, video: video.codec_context.options.update(
                chroma_sample_location="topleft"
            ),
        )
        for codec in ("ffv1", "libvpx-vp9"):
            words = (codec, "siting", "topleft", ".mkv, or choose libx264 or libx265 or libsvtav1")
            assert_refused(source, tmp_path / "out.mp4", *words, codec=codec)


class TestEncoder:
    def test_pixel_format(self, tmp_path):
        source = write_clip(tmp_path / "in.mp4", pixel_format="yuv444p", frames=3)
        words = ("does not take 8-bit yuv444p", "libx264 or libx265 or libvpx-vp9 or ffv1")
        assert_refused(source, tmp_path / "out.mp4", *words, codec="libsvtav1")

    def test_bit_depth(self, tmp_path):
        source = write_clip(tmp_path / "in.mkv", codec="ffv1", pixel_format="yuv420p12le", frames=2)
        words = ("does not take 12-bit yuv420p12le", "libx265 or ffv1", "another pix_fmt")
        assert_refused(source, tmp_path / "out.mkv", *words)

    def test_source_codec_without_an_encoder(self, tmp_path):
        source = write_clip(tmp_path / "in.avi", codec="mpeg4", time_base=Fraction(1, 25))
        words = ("no encoder here for mpeg4", "libx264, libx265")
        assert_refused(source, tmp_path / "out.mkv", *words, codec="source")

    def test_odd_size(self, tmp_path):
        source = write_clip(tmp_path / "in.mkv", codec="ffv1", size=(35, 27), frames=3)
        words = ("libx264 does not open for 35x27 yuv420p", "libvpx-vp9 or ffv1")
        assert_refused(source, tmp_path / "out.mp4", *words)
        assert_refused(source, tmp_path / "out.mov", "write to .mp4 and choose", codec="libx264")

    def test_encoders_named_for_a_pixel_format_keep_the_rest_too(self, tmp_path):
        """FFV1 takes it, but has no place in .mp4 for chroma in the middle."""

        def prepare(_, video):
            video.codec_context.options["chroma_sample_location"] = "center"

        source = write_clip(
            tmp_path / "in.mkv",
            codec="ffv1",
            pixel_format="yuv420p12le",
            size=(70, 66),
            frames=2,
            prepare=prepare,
        )
        words = ("does not take 12-bit yuv420p12le; choose libx265, or another pix_fmt",)
        assert_refused(source, tmp_path / "out.mp4", *words)

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            ({"codec": "h264_magic"}, ("there is no encoder", "libx264, libx265")),
            ({"crf": 52}, ("from 0 to 51", "52")),
            ({"crf": -1}, ("from 0 to 51", "-1")),
            ({"codec": "ffv1", "crf": 5}, ("takes no crf",)),
            ({"preset": "warp"}, ("no preset 'warp'", "medium")),
            ({"codec": "libsvtav1", "preset": "medium"}, ("no preset 'medium'", "13, 12")),
            ({"codec": "ffv1", "preset": "fast"}, ("no preset 'fast'", "leave it out")),
            ({"codec": "libvpx-vp9", "crf": 64}, ("from 0 to 63", "64")),
            ({"codec": "libvpx-vp9", "preset": "9"}, ("no preset '9'", "8, 7")),
            ({"pix_fmt": "yuv421p"}, ("no pixel format 'yuv421p'",)),
            ({"pix_fmt": "rgb24"}, ("rgb24 has no plane of luma",)),
            ({"pix_fmt": "yuvj420p"}, ("give the pix_fmt yuv420p",)),
            ({"pix_fmt": "yuv420p12le"}, ("12-bit", "libx265 or ffv1")),
            ({"frames": 0}, ("at least 1",)),
            ({"tile": 31}, ("at least 32", "31")),
            ({"max_memory": "plenty"}, ("2GiB", "'plenty'")),
            ({"max_memory": 0}, ("2GiB", "0")),
            ({"max_memory": 1}, ("needs about", "tiles of 32 pixels", "1 bytes", "allow more")),
            ({"clip_frames": 20}, ("not recurrent",)),
            ({"device": "cuda:99"}, ("the device 'cuda:99' cannot be used",)),
            ({"device": "abacus"}, ("the device 'abacus' cannot be used",)),
        ],
    )
    def test_options(self, clip, tmp_path, options, words):
        assert_refused(clip, tmp_path / "out.mp4", *words, **options)


class TestModel:
    def test_unknown_name(self, clip, tmp_path):
        words = ("no model 'carcn'", "carcnn, carcnn_small")
        assert_refused(clip, tmp_path / "out.mp4", *words, model="carcn")

    def test_no_spec(self, clip, tmp_path):
        assert_refused(clip, tmp_path / "out.mp4", "has no spec", model=torch.nn.Identity())

    def test_other_values(self, clip, tmp_path):
        """A model fed with what it was not trained for damages the video in silence."""
        model = Pointwise(spec=replace(LUMA_SPEC, value_range=(-1.0, 1.0)))
        assert_refused(clip, tmp_path / "out.mp4", "(-1.0, 1.0)", model=model)

    def test_enlarges(self, clip, tmp_path):
        """Known from the spec: it must not take the first clip of frames to find out."""
        model = create_model("basicvsr", width=8, blocks=1)
        words = ("BasicVSR makes frames 4 times as large", "scale 1")
        assert_refused(clip, tmp_path / "out.mp4", *words, model=model)

    def test_changes_the_size(self, clip, tmp_path):
        model = Pointwise(lambda luma: luma[..., ::2])
        assert_refused(clip, tmp_path / "out.mp4", "keeps the size", model=model, precision="fp32")

    def test_gives_values_that_are_not_finite(self, clip, tmp_path):
        """An overflow in 16 bits would be written as black frames."""
        model = Pointwise(lambda luma: luma / 0)
        assert_refused(clip, tmp_path / "out.mp4", "not finite", model=model)
