"""What FFmpeg does not read of Matroska is named."""

import pytest

from support.media import write_clip
from vqe_fast.video import enhance_video
from vqe_fast.video.media.matroska_source import unread_features


def element(kind, content):
    """An EBML element with a size of four bytes."""
    size = (len(content) | 1 << 28).to_bytes(4, "big")
    return kind.to_bytes(-(-kind.bit_length() // 8), "big") + size + content


def file(*parts):
    return element(0x1A45DFA3, b"") + element(0x18538067, b"".join(parts))


def tracks(language):
    entry = element(0xD7, b"\2") + element(0x22B59C, b"por") + element(0x22B59D, language)
    return element(0x1654AE6B, element(0xAE, entry))


def chapters(*editions):
    return element(0x1043A770, b"".join(element(0x45B9, each) for each in editions))


ATOM = element(0xB6, element(0x91, b"\0"))
NAMED_TWICE = element(0xB6, element(0x80, b"") * 2)


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ([tracks(b"pt-BR")], ["the language pt-BR of track 2, but for its first part"]),
        ([tracks(b"pt")], []),
        ([chapters(ATOM * 3)], []),
        ([chapters(ATOM, ATOM)], ["2 editions of chapters apart, which are one list now"]),
        ([chapters(element(0xB6, ATOM))], ["chapters in chapters"]),
        (
            [chapters(element(0x45DD, b"\1") + ATOM)],
            ["the order of chapters that is not that of the file"],
        ),
        ([chapters(element(0x45DD, b"\0") + ATOM)], []),
        (
            [chapters(element(0xB6, element(0x6E67, bytes(16))))],
            ["chapters that are in other files"],
        ),
        ([chapters(NAMED_TWICE)], ["all names of chapters but one"]),
        (
            [element(0x1549A966, element(0x3EB923, bytes(16)))],
            ["the link to the file before or after it"],
        ),
        ([element(0x1F43B675, bytes(99)), chapters(element(0xB6, ATOM))], ["chapters in chapters"]),
    ],
)
def test_what_is_not_read(tmp_path, parts, words):
    path = tmp_path / "in.mkv"
    path.write_bytes(file(*parts))
    assert unread_features(path) == tuple(words)


def test_any_end_of_a_file_is_an_end(tmp_path):
    """Damaged files are read as far as they go."""
    whole, path = file(tracks(b"pt-BR"), chapters(NAMED_TWICE, ATOM)), tmp_path / "in.mkv"
    for size in range(1, len(whole)):
        path.write_bytes(whole[:size])
        unread_features(path)
        path.write_bytes(bytes(size) + whole)
        assert unread_features(path) == ()


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_it_is_in_the_report(tmp_path, suffix):
    """A region that only the newer of Matroska's two elements tells."""
    source = write_clip(
        tmp_path / "in.mkv",
        audio=("aac",),
        prepare=lambda container, _: container.streams.audio[0].metadata.update(language="por"),
    )
    data = source.read_bytes()
    older, no_default = b"\x22\xb5\x9c\x83por", b"\x88\x81\x00"
    assert data.count(older + no_default) == 1
    path = tmp_path / "newer.mkv"
    path.write_bytes(data.replace(older + no_default, b"\x22\xb5\x9d\x86pt-BR\0"))
    report = enhance_video(path, tmp_path / f"out{suffix}", "identity")
    assert report.not_kept == ("the language pt-BR of track 2, but for its first part",)
