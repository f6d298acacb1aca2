"""Two files compared: their frames, and all that their streams hold."""

import av

from support.media import read_frames


def contents(path):
    """For each stream its kind, its tags, and when its packets come, and of others than video also
    for how long, and their bytes; chapters; tags of the file."""
    with av.open(str(path)) as container:
        found = {
            stream.index: (stream.type, dict(stream.metadata), []) for stream in container.streams
        }
        for packet in container.demux():
            if packet.size:
                kind, _, packets = found[packet.stream.index]
                data = b"" if kind == "video" else bytes(packet)
                packets.append((packet.pts, 0 if kind == "video" else packet.duration, data))
        for kind, _, packets in found.values():
            if kind == "video":  # encoders reorder as they like
                packets.sort()
        return list(found.values()), container.chapters(), dict(container.metadata)


def decoding_times(path):
    """Of the packets of the video."""
    with av.open(str(path)) as container:
        return [packet.dts for packet in container.demux(video=0) if packet.size]


def assert_same_frames(first, second):
    """Fails unless both files decode to the same samples at the same times."""
    pairs = list(zip(read_frames(first), read_frames(second), strict=True))
    assert pairs
    for number, ((time, planes), (same, others)) in enumerate(pairs):
        assert time == same, number
        assert all((a == b).all() for a, b in zip(planes, others, strict=True)), number
