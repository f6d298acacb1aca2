"""Times of copied packets that make no sense."""

import io

import av
import pytest

from vqe_fast.video.media.remux import PacketCopier


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ([(0, 0), (20, 20), (40, 40)], [(0, 0), (20, 20), (40, 40)]),
        ([(-20, -20), (0, 0)], [(-20, -20), (0, 0)]),
        ([(80, 0), (40, 20), (120, 40)], [(80, 0), (40, 20), (120, 40)]),
        ([(0, 0), (90, 90), (40, 40), (100, 100)], [(0, 0), (90, 90), (90, 90), (100, 100)]),
        ([(None, None), (20, None), (None, 40)], [(0, 0), (20, 20), (40, 40)]),
        ([(5, 5), (None, None)], [(5, 5), (5, 5)]),
        ([(0, 10)], [(10, 10)]),
    ],
)
def test_times(times, expected):
    """Presentation and decoding: kept if they can be, and never earlier than what came before."""
    with av.open(io.BytesIO(), "w", format="matroska") as output:
        stream = output.add_stream("aac", 48000)
        copier = PacketCopier(stream)
        found = []
        for pts, dts in times:
            packet = av.Packet(b"sound")
            packet.pts, packet.dts = pts, dts
            assert copier.adopt(packet) == [packet]
            assert packet.stream is stream
            found.append((packet.pts, packet.dts))
    assert found == expected


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        (
            [(20, None), (140, None), (60, 20), (100, 60)],
            [(20, -60), (140, -20), (60, 20), (100, 60)],
        ),
        ([(0, None), (120, None), (40, None)], [(0, -120), (120, -80), (40, -40)]),
        ([(0, 0), (120, None), (40, None), (80, 40)], [(0, 0), (120, 1), (40, 2), (80, 40)]),
        ([(7, None)], [(7, 7)]),
    ],
)
def test_decoding_times_of_reordered_video(times, expected):
    """Those that are missing come before that of any frame shown: no frame is shown later."""
    with av.open(io.BytesIO(), "w", format="matroska") as output:
        copier = PacketCopier(output.add_stream("libx264", 25, width=64, height=48))
        found = []
        for pts, dts in times:
            packet = av.Packet(b"picture")
            packet.pts, packet.dts, packet.duration = pts, dts, 40
            found += copier.adopt(packet)
        found += copier.flush()
    assert [(packet.pts, packet.dts) for packet in found] == expected


@pytest.mark.parametrize(
    ("durations", "expected"),
    [
        ([20, 20, 20], [20, 20, 20]),
        ([0, 0, 0], [20, 20, 20]),
        ([20, 0, 20], [20, 20, 20]),
        ([20, 20, 0], [20, 20, 20]),
        ([0], [0]),
    ],
)
def test_sound_without_durations_lasts_until_the_next_packet(durations, expected):
    """In MP4 the last would be cut off, also where an empty packet comes behind it."""
    with av.open(io.BytesIO(), "w", format="mp4") as output:
        copier = PacketCopier(output.add_stream("aac", 48000))
        found = []
        for place, duration in enumerate(durations):
            packet = av.Packet(b"sound")
            packet.pts = packet.dts = place * 20
            packet.duration = duration
            found += copier.adopt(packet)
        found += copier.flush()
    assert [packet.dts for packet in found] == [place * 20 for place in range(len(durations))]
    assert [packet.duration for packet in found] == expected
