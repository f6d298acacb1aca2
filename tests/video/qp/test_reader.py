"""QPs read back from streams whose encoders were told which to use."""

import io
import itertools
import logging
import math
import re
import threading
from fractions import Fraction

import av
import numpy as np
import pytest
from av.video.frame import PictureType

from support.field_coded import field_coded
from support.media import png, write_clip
from vqe_fast.video import VideoError, iterate_qp, read_qp
from vqe_fast.video.media.ffmpeg_log import captured_log
from vqe_fast.video.qp.headers import HeaderReader


def x265(parameters):
    return {"x265-params": f"log-level=none:{parameters}"}


def x264(parameters):
    return {"x264-params": parameters}


GOPS = "keyint=10:min-keyint=10:bframes=4:b-adapt=0"
GOPS_OF = {
    "libx264": x264(f"{GOPS}:open-gop=1:b-pyramid=normal"),
    "libx265": x265(f"{GOPS}:open-gop=1:b-pyramid=1:repeat-headers=1"),
}
CONSTANT_OF = {
    "libx264": {"qp": "{qp}"} | x264("ipratio=1:pbratio=1"),
    "libx265": x265("qp={qp}:ipratio=1:pbratio=1:repeat-headers=1"),
}
CRA, RASL = 21, (8, 9)  # nal_unit_type of HEVC
RAW_OF = {"libx264": "h264", "libx265": "hevc"}


def decoded(path):
    """Timestamps and types of the frames that a decoder shows, past damage if need be."""
    found = []
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        for packet in itertools.chain((p for p in container.demux(stream) if p.size), [None]):
            try:
                frames = stream.decode(packet)
            except av.error.FFmpegError:
                continue
            found += [(frame.pts, PictureType(frame.pict_type).name) for frame in frames]
    return found


def shown(frames):
    return [(frame.pts, frame.type) for frame in frames]


def plain(frames):
    """Frames as values that can be compared."""
    return [
        (f.pts, f.type, f.size, f.qp, f.origin, f.blocks is not None and f.blocks.tolist())
        for f in frames
    ]


def packets_of(path):
    """The video packets of a file as bytes."""
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(video=0) if packet.size]


def remux(path, target, edit):
    """Writes the packets that ``edit`` makes of a file's video packets; times stay as they are."""
    with av.open(str(path)) as container, av.open(str(target), "w") as output:
        source = container.streams.video[0]
        stream = output.add_stream_from_template(source, opaque=True)
        for packet in edit([packet for packet in container.demux(source) if packet.size]):
            packet.stream = stream
            output.mux(packet)
    return target


def still(path, noise, codec, **options):
    """A video of one grey picture with noise on it, (H, W)."""
    return grey(path, [noise] * 3, codec, **options)


def grey(path, pictures, codec, **options):
    """A video of grey pictures that are given as differences to grey, (H, W) each."""
    height, width = pictures[0].shape
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, 25, width=width, height=height, options=options)
        stream.pix_fmt = "yuv420p"
        for pts, picture in enumerate(pictures):
            planes = np.full((height * 3 // 2, width), 128, np.uint8)
            planes[:height] = (128 + picture).clip(0, 255)
            frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
            frame.pts = pts
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def constant(qp):
    """What x264 and x265 make of a constant QP, by type; the third are B that others refer to."""
    return {("I", qp - 3), ("P", qp), ("B", qp + 1), ("B", qp + 2)}


class TestH264:
    @pytest.mark.parametrize("qp", [12, 30, 44])
    def test_constant_qp(self, tmp_path, qp):
        """x264 takes 3 off for I and adds 2 for B, or 1 for B that others refer to."""
        options = {"qp": str(qp)} | x264("bframes=3:b-adapt=0:b-pyramid=normal")
        path = write_clip(tmp_path / "in.mp4", frames=20, options=options)
        frames = read_qp(path)
        assert {(f.type, f.qp) for f in frames} == constant(qp)
        assert shown(frames) == decoded(path)
        for frame in frames:
            assert frame.origin == "blocks"
            assert (frame.blocks.shape, frame.blocks.dtype) == ((3, 4), np.int8)
            assert (frame.blocks == frame.qp).all()
            assert frame.block_size == 16

    def test_same_qp_for_all_types(self, tmp_path):
        options = {"qp": "33"} | x264("ipratio=1:pbratio=1:slices=4:b-pyramid=normal")
        frames = read_qp(
            write_clip(tmp_path / "in.mkv", frames=20, size=(64, 128), options=options)
        )
        assert {frame.qp for frame in frames} == {33}
        assert {frame.type for frame in frames} == {"I", "P", "B"}

    def test_ten_bits(self, tmp_path):
        """Encoder and decoder count from 0, the standard from −12."""
        for qp in (-11, 30):
            path = write_clip(
                tmp_path / f"{qp}.mp4",
                pixel_format="yuv420p10le",
                options={"qp": str(qp + 12)} | x264("ipratio=1:pbratio=1"),
            )
            assert {frame.qp for frame in read_qp(path)} == {qp}

    def test_interlaced(self, tmp_path):
        path = write_clip(tmp_path / "in.mp4", size=(64, 64), options={"qp": "30"} | x264("tff=1"))
        assert {frame.qp for frame in read_qp(path)} == {27, 30, 31, 32}

    def test_fields_coded_apart(self):
        """A frame is both of its fields; their rows of blocks take turns."""
        frames = [((20 + n, 22, 24, 26), (30 + n, 33, 36, 39)) for n in range(3)]
        found = read_qp(io.BytesIO(field_coded(frames)))
        assert [frame.qp for frame in found] == [np.mean(fields) for fields in frames]
        for frame, (top, bottom) in zip(found, frames, strict=True):
            rows = [top[:2], bottom[:2], top[2:], bottom[2:]]
            assert frame.blocks.tolist() == [list(row) for row in rows]

    def test_adaptive_quantisation(self, tmp_path):
        """The mean over the blocks is what x264 says of each frame."""
        level = av.logging.get_level()
        av.logging.set_level(av.logging.DEBUG)
        try:
            with av.logging.Capture(local=False) as log:
                path = write_clip(tmp_path / "in.mp4", frames=30, size=(320, 240))
        finally:
            av.logging.set_level(level)
        lines = [re.match(r"frame=.* QP=([\d.]+) .*Slice:(.) Poc:(\d+)", m) for _, _, m in log]
        said = sorted((int(m[3]), m[2], float(m[1])) for m in lines if m)
        frames = read_qp(path)
        assert len(frames) == len(said) == 30
        for frame, (_, kind, qp) in zip(frames, said, strict=True):
            assert frame.type == kind
            assert frame.qp == pytest.approx(qp, abs=0.5)

    def test_map_of_blocks(self, tmp_path):
        """Adaptive quantisation is finer where there is less to see."""
        noise = np.random.default_rng(0).normal(size=(128, 128))
        noise *= np.where(np.arange(128) < 64, 3, 60)
        blocks = read_qp(still(tmp_path / "in.mp4", noise, codec="libx264", crf="24"))[0].blocks
        assert blocks.shape == (8, 8)
        assert blocks[:, 5:].min() > blocks[:, :3].max() + 4

    def test_every_block_in_every_frame(self, tmp_path):
        """Frames that are coded fast and slow by turns: threads must not overtake each other."""
        generator = np.random.default_rng(0)
        pictures = [generator.normal(size=(352, 640)) * (0 if i % 3 else 80) for i in range(24)]
        path = grey(tmp_path / "in.mp4", pictures, "libx264", crf="20", preset="veryfast")
        with av.open(str(path)) as container:
            context = container.streams.video[0].codec_context
            context.options = {"export_side_data": "venc_params"}
            context.thread_type, context.thread_count = "NONE", 1
            maps = [frame.side_data["VIDEO_ENC_PARAMS"].qp_map() for frame in container.decode()]
        found = [frame.blocks for frame in read_qp(path)]
        np.testing.assert_array_equal(found, maps)
        assert len(np.unique(maps)) > 3


class TestHEVC:
    @pytest.mark.parametrize("qp", [20, 37])
    def test_constant_qp(self, tmp_path, qp):
        options = x265(f"qp={qp}:bframes=4:b-pyramid=1:b-adapt=0")
        path = write_clip(tmp_path / "in.mp4", codec="libx265", frames=20, options=options)
        frames = read_qp(path)
        assert {(f.type, f.qp) for f in frames} == constant(qp)
        assert {(f.origin, f.blocks, f.block_size) for f in frames} == {("slices", None, None)}
        assert shown(frames) == decoded(path)

    def test_ten_bits(self, tmp_path):
        options = x265("qp=5:ipratio=1:pbratio=1")
        path = write_clip(
            tmp_path / "in.mp4", codec="libx265", pixel_format="yuv420p10le", options=options
        )
        assert {frame.qp for frame in read_qp(path)} == {5}

    def test_slices(self, tmp_path):
        path = self.sliced(tmp_path)
        assert [frame.qp for frame in read_qp(path)] == [30, 30]

    @pytest.mark.parametrize("tiles", [0, 1])
    def test_slices_count_by_their_size(self, tmp_path, monkeypatch, tiles):
        """The third slice has 160 of 448 tree units; addresses among tiles do not tell."""
        path = self.sliced(tmp_path)
        read = HeaderReader.read

        def changed(self, packet):
            units = read(self, packet)
            for _, fields in units:
                if "tiles_enabled_flag" in fields:
                    fields["tiles_enabled_flag"] = tiles
                if fields.get("slice_segment_address") == 288:
                    fields["slice_qp_delta"] += 7
            return units

        monkeypatch.setattr(HeaderReader, "read", changed)
        expected = 30 + (7 / 3 if tiles else 7 * 160 / 448)
        assert [frame.qp for frame in read_qp(path)] == pytest.approx([expected, expected])

    @staticmethod
    def sliced(folder):
        options = x265("qp=30:ipratio=1:slices=3:ctu=16:keyint=1:repeat-headers=1")
        return write_clip(
            folder / "in.hevc", codec="libx265", size=(256, 448), frames=2, options=options
        )

    def test_orders_without_timestamps(self, tmp_path):
        """A raw stream has picture order counts only, here of 6 bits, which wrap around."""
        options = x265(f"{GOPS}:open-gop=1:log2-max-poc-lsb=6")
        path = write_clip(tmp_path / "in.hevc", codec="libx265", frames=100, options=options)
        frames = read_qp(path)
        assert {frame.pts for frame in frames} == {None}
        assert shown(frames) == decoded(path)
        sizes = [len(packet) for packet in packets_of(path)]
        assert sorted(frame.size for frame in frames) == sorted(sizes)
        assert [frame.size for frame in frames] != sizes

    def test_end_of_sequence(self, tmp_path):
        """After it, an open GOP has nothing to lean on: its leading pictures are not shown."""
        options = x265(f"{GOPS}:open-gop=1:repeat-headers=1")
        path = write_clip(tmp_path / "in.hevc", codec="libx265", frames=30, options=options)
        packets = packets_of(path)
        types = [packet[packet.rindex(b"\0\0\1") + 3] >> 1 for packet in packets]
        second, third = (i for i, type_ in enumerate(types) if type_ == CRA)
        leaning = sum(type_ in RASL for type_ in types[second:third])
        packets[second - 1] += b"\0\0\1\x48\1"
        path.write_bytes(b"".join(packets))
        assert leaning > 0
        assert len(read_qp(path)) == 30 - leaning

    def test_headers_cut_short_do_not_count(self, tmp_path):
        """Decoders drop such a slice, though its QP comes before what is missing."""
        options = x265("qp=30:repeat-headers=1")
        path = write_clip(tmp_path / "in.hevc", codec="libx265", frames=1, options=options)
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            data = bytes(next(container.demux(stream)))
            start = data.rindex(b"\0\0\1")
            read = [
                HeaderReader(stream, "38-63").read(av.Packet(data[: start + size]))
                for size in range(6, 40)
            ]
        slices = [fields for units in read for title, fields in units if "Slice" in title]
        assert 0 < len(slices) < len(read)
        assert all("alignment_bit_equal_to_one" in fields for fields in slices)

    def test_layers_above_the_first_do_not_count(self, tmp_path):
        """As in stereo video: other layers have slices of their own in the same packets."""
        options = x265("qp=30:repeat-headers=1")
        base = Fraction(1, 90000)
        path = write_clip(
            tmp_path / "in.ts", codec="libx265", frames=6, time_base=base, options=options
        )

        def with_layers(packets):
            for packet in packets:
                start = bytes(packet).rindex(b"\0\0\1")
                layer = bytearray(bytes(packet)[start:])
                layer[4] |= 1 << 3  # nuh_layer_id
                both = av.Packet(bytes(packet) + bytes(layer))
                both.pts, both.dts, both.time_base = packet.pts, packet.dts, packet.time_base
                yield both

        layered = remux(path, tmp_path / "layered.ts", with_layers)
        before, after = read_qp(path), read_qp(layered)
        assert [(f.type, f.qp) for f in after] == [(f.type, f.qp) for f in before]
        assert all(long.size > short.size for long, short in zip(after, before, strict=True))


class TestVP9:
    QP_OF_INDEX_128 = 4 + 6 * math.log2(176 / 8)

    def test_constant_quantiser(self, tmp_path):
        """Quantiser 32 of libvpx is index 128, whose step is 176 eighths."""
        options = {"qmin": "32", "qmax": "32", "b:v": "0", "crf": "32", "auto-alt-ref": "0"}
        path = write_clip(tmp_path / "in.webm", codec="libvpx-vp9", frames=8, options=options)
        frames = read_qp(path)
        assert [frame.qp for frame in frames] == pytest.approx([self.QP_OF_INDEX_128] * 8)
        assert (frames[0].blocks == round(self.QP_OF_INDEX_128)).all()
        assert (frames[0].blocks.shape, frames[0].block_size) == ((6, 8), 8)
        assert shown(frames) == decoded(path)

    def test_segments(self, tmp_path):
        """Adaptive quantisation in VP9 is a choice of segments for blocks of many sizes."""
        noise = np.random.default_rng(0).normal(size=(128, 128))
        noise *= np.where(np.arange(128) < 64, 2, 60)
        options = {"crf": "40", "b:v": "0", "aq-mode": "1", "cpu-used": "4"}
        frame = read_qp(still(tmp_path / "in.webm", noise, codec="libvpx-vp9", **options))[0]
        assert frame.blocks.shape == (16, 16)
        assert frame.blocks[:, 9:].mean() > frame.blocks[:, :7].mean() + 2
        assert frame.qp == pytest.approx(frame.blocks.mean(), abs=0.5)

    def test_hidden_frames_and_frames_shown_again(self, tmp_path):
        """A packet of one byte shows what an earlier one brought: its QP counts, not its size."""
        options = {"crf": "30", "b:v": "0", "lag-in-frames": "25", "cpu-used": "4"}
        path = write_clip(tmp_path / "in.webm", codec="libvpx-vp9", frames=30, options=options)
        plain_sizes = [len(packet) for packet in packets_of(path)]

        def again(packets):
            extra = av.Packet(bytes([0b10001000]))  # show_existing_frame, slot 0
            extra.time_base = packets[-1].time_base
            extra.pts = extra.dts = packets[-1].pts + 40
            return [*packets, extra]

        longer = remux(path, tmp_path / "longer.webm", again)
        before, after = read_qp(path), read_qp(longer)
        assert [frame.size for frame in before] == plain_sizes
        assert plain(after[:-1]) == plain(before)
        assert after[-1].size == 1
        assert after[-1].qp in {frame.qp for frame in before}
        assert shown(after) == decoded(longer)


@pytest.mark.skipif("libsvtav1" not in av.codecs_available, reason="this PyAV has no SVT-AV1")
class TestAV1:
    CONSTANT = "rc=0:aq-mode=0:use-fixed-qindex-offsets=1"

    @pytest.mark.parametrize(
        ("pixel_format", "step"), [("yuv420p", 305 / 8), ("yuv420p10le", 1218 / 32)]
    )
    def test_constant_quantiser(self, tmp_path, pixel_format, step):
        """Quantiser 40 is index 160, at both depths; most frames are hidden, and shown later."""
        path = self.clip(tmp_path, self.CONSTANT, pixel_format=pixel_format, qp="40")
        frames = read_qp(path)
        expected = 4 + 6 * math.log2(step)
        assert [frame.qp for frame in frames] == pytest.approx([expected] * len(frames))
        assert {frame.origin for frame in frames} == {"header"}
        assert shown(frames) == decoded(path)
        assert [frame.size for frame in frames] == [len(packet) for packet in packets_of(path)]

    def test_frames_shown_again_have_the_qp_they_were_coded_with(self, tmp_path):
        """In a pyramid, frames that are hidden first are finer than their neighbours."""
        frames = read_qp(self.clip(tmp_path, "rc=0:aq-mode=0", qp="40"))
        again = [i for i, frame in enumerate(frames) if frame.size < 8]
        assert again
        for i in again:
            assert frames[i].qp < max(frame.qp for frame in frames[i - 1 : i + 2])

    def test_starts_in_the_middle(self, tmp_path):
        path = self.clip(tmp_path, "keyint=10")
        late = remux(path, tmp_path / "late.mkv", lambda packets: packets[4:])
        frames = read_qp(late)
        assert shown(frames) == decoded(late)
        assert 0 < len(frames) < 20

    @staticmethod
    def clip(folder, parameters, pixel_format="yuv420p", **options):
        options |= {"preset": "10", "svtav1-params": parameters}
        return write_clip(
            folder / "in.mkv",
            codec="libsvtav1",
            frames=24,
            pixel_format=pixel_format,
            options=options,
        )


def test_other_codecs_are_listed_without_qp(tmp_path):
    path = write_clip(tmp_path / "in.mkv", codec="mpeg4", options={"bf": "2"})
    frames = read_qp(path)
    assert {(f.qp, f.blocks, f.origin) for f in frames} == {(None, None, "unknown")}
    assert shown(frames) == decoded(path)
    assert sorted(f.size for f in frames) == sorted(map(len, packets_of(path)))


@pytest.mark.parametrize("codec", ["libx264", "libx265"])
class TestWhatIsShown:
    """Entries are the frames that a decoder hands out, in its order."""

    @pytest.fixture
    def path(self, codec, tmp_path):
        """Open GOPs of ten frames with a pyramid of B."""
        options = GOPS_OF[codec]
        return write_clip(
            tmp_path / "in.ts",
            codec=codec,
            frames=40,
            time_base=Fraction(1, 90000),
            options=options,
        )

    def test_all(self, path):
        frames = read_qp(path)
        assert shown(frames) == decoded(path)
        assert len(frames) == 40
        assert {frame.type for frame in frames} == {"I", "P", "B"}
        assert sorted(f.size for f in frames) == sorted(map(len, packets_of(path)))

    @pytest.mark.parametrize("part", [0.2, 0.35, 0.5])
    def test_starts_in_the_middle(self, path, part):
        """What leans on frames that are missing is not shown."""
        data = path.read_bytes()
        path.write_bytes(data[int(len(data) * part) // 188 * 188 :])
        assert shown(read_qp(path)) == decoded(path)
        assert 0 < len(decoded(path)) < 40

    @pytest.mark.parametrize("part", [0.5, 0.7])
    def test_ends_early(self, path, part):
        data = path.read_bytes()
        path.write_bytes(data[: int(len(data) * part) // 188 * 188])
        assert shown(read_qp(path)) == decoded(path)
        assert 0 < len(decoded(path)) < 40

    def test_parameter_sets_change(self, codec, tmp_path):
        """Size, QP and parameter sets change in the middle, under the same numbers."""
        parts = []
        for qp, size in ((20, (64, 48)), (40, (96, 80))):
            options = dict(CONSTANT_OF[codec])
            options = {name: value.format(qp=qp) for name, value in options.items()}
            part = tmp_path / f"{qp}.{RAW_OF[codec]}"
            parts.append(write_clip(part, codec=codec, size=size, options=options).read_bytes())
        joined = tmp_path / f"joined.{RAW_OF[codec]}"
        joined.write_bytes(b"".join(parts))
        frames = read_qp(joined)
        assert [frame.qp for frame in frames] == [20] * 12 + [40] * 12
        if codec == "libx264":
            assert {f.blocks.shape for f in frames[:12]} == {(3, 4)}
            assert {f.blocks.shape for f in frames[12:]} == {(5, 6)}

    def test_parameter_sets_missing(self, codec, tmp_path):
        """Frames wait for them, as in a broadcast that is joined between two key frames."""
        options = GOPS_OF[codec]
        path = tmp_path / f"in.{RAW_OF[codec]}"
        packets = packets_of(write_clip(path, codec=codec, frames=30, options=options))
        path.write_bytes(b"".join(packets[1:]))
        assert shown(read_qp(path)) == decoded(path)
        assert 0 < len(decoded(path)) < 30

    def test_damaged_packets(self, path):
        """Whatever a decoder makes of them, the rest has its QPs."""
        before = {frame.pts: plain([frame]) for frame in read_qp(path)}
        data = bytearray(path.read_bytes())
        generator = np.random.default_rng(0)
        for position in generator.integers(len(data) // 4, len(data), 12):
            data[position : position + 40] = generator.bytes(40)
        path.write_bytes(data)
        same = [frame for frame in read_qp(path) if plain([frame]) == before.get(frame.pts)]
        assert len(same) > 15

    def test_file_objects(self, path):
        assert plain(read_qp(io.BytesIO(path.read_bytes()))) == plain(read_qp(path))
        with open(path, "rb") as file:
            assert plain(read_qp(file)) == plain(read_qp(str(path)))

    def test_frames_come_before_the_file_is_read(self, path):
        """Memory would grow with the length otherwise."""
        file = io.BytesIO(path.read_bytes() + path.read_bytes() * 40)
        next(iterate_qp(file))
        assert file.tell() < len(file.getbuffer()) / 2


class TestRefusals:
    @pytest.mark.parametrize("codec", ["libx264", "libx265"])
    def test_nothing_decodes(self, codec, tmp_path):
        path = write_clip(tmp_path / "in.mp4", codec=codec, options=GOPS_OF[codec])
        data = bytearray(path.read_bytes())
        start, end = data.index(b"mdat") + 4, data.index(b"moov") - 4
        data[start:end] = bytes(end - start)
        path.write_bytes(data)
        with pytest.raises(VideoError, match=r"no frame of .*in\.mp4 could be decoded"):
            read_qp(path)

    def test_missing(self, tmp_path):
        with pytest.raises(VideoError, match="there is no file"):
            read_qp(tmp_path / "none.mp4")

    @pytest.mark.parametrize(
        ("content", "words"),
        [(b"", "is empty"), (b"hello, this is no video\n" * 50, "is not a video")],
    )
    def test_not_a_video(self, tmp_path, content, words):
        (tmp_path / "in.mp4").write_bytes(content)
        with pytest.raises(VideoError, match=rf"in\.mp4 {words}"):
            read_qp(tmp_path / "in.mp4")
        with pytest.raises(VideoError, match=r"the video is not a video"):
            read_qp(io.BytesIO(content))

    def test_audio_only(self, tmp_path):
        """With cover art, which is a stream of type video."""
        path = write_clip(
            tmp_path / "in.mkv",
            codec=None,
            audio=("aac",),
            prepare=lambda container, _: container.add_attachment("c.png", "image/png", png()),
        )
        with pytest.raises(VideoError, match="no video stream"):
            read_qp(path)


class TestLog:
    """Headers are read from FFmpeg's log, which belongs to the whole process."""

    @pytest.fixture
    def path(self, tmp_path):
        return write_clip(
            tmp_path / "in.mkv", codec="libx265", frames=20, options=GOPS_OF["libx265"]
        )

    @pytest.mark.parametrize("level", [None, av.logging.ERROR, av.logging.DEBUG])
    @pytest.mark.parametrize("skips", [True, False])
    def test_is_left_as_it_was(self, path, level, skips):
        before = av.logging.get_level(), av.logging.get_skip_repeated()
        av.logging.set_level(level)
        av.logging.set_skip_repeated(skips)
        try:
            with av.logging.Capture() as log:
                frames = iterate_qp(path)
                next(frames)
                assert (av.logging.get_level(), av.logging.get_skip_repeated()) == (level, skips)
                frames.close()
                av.logging.log(av.logging.ERROR, "test", "heard")
            assert (av.logging.get_level(), av.logging.get_skip_repeated()) == (level, skips)
        finally:
            av.logging.set_level(before[0])
            av.logging.set_skip_repeated(before[1])
        assert not any("slice_qp_delta" in message for _, _, message in log)
        assert ("heard" in [message for _, _, message in log]) == (level is not None)

    def test_is_left_as_it_was_after_an_error(self):
        before = av.logging.get_level(), av.logging.get_skip_repeated()
        with pytest.raises(RuntimeError), captured_log():
            raise RuntimeError
        assert (av.logging.get_level(), av.logging.get_skip_repeated()) == before

    def test_what_other_threads_log_is_not_heard(self, caplog):
        """Nobody asked for it: PyAV is silent by default."""
        caplog.set_level(logging.DEBUG)
        with captured_log() as lines:
            other = threading.Thread(target=av.logging.log, args=(av.logging.ERROR, "test", "x"))
            other.start()
            other.join()
        assert lines == []
        assert caplog.records == []

    def test_several_threads(self, path):
        expected = plain(read_qp(path))
        found = []
        readers = [
            threading.Thread(target=lambda: found.append(plain(read_qp(path)))) for _ in range(4)
        ]
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join()
        assert found == [expected] * 4
