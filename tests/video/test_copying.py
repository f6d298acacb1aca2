"""Times of copied packets that make no sense."""

import io

import av
import pytest

from vqe_fast.video.copying import PacketCopier


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
            copier.adopt(packet)
            assert packet.stream is stream
            found.append((packet.pts, packet.dts))
    assert found == expected
