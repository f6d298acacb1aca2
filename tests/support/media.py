"""Small videos made on the spot, and what is in a file, for the tests of video and CLI."""

import itertools
import resource
from contextlib import contextmanager
from fractions import Fraction

import av
import numpy as np

AUDIO_RATE = 48000


def texture(frame):
    """Fills the planes of a video frame with smooth structure that moves with its timestamp."""
    depth = frame.format.components[0].bits
    for index, plane in enumerate(frame.planes):
        rows = np.frombuffer(plane, np.uint8 if depth == 8 else np.uint16).reshape(plane.height, -1)
        y, x = np.mgrid[: plane.height, : plane.width]
        shift = frame.pts * float(frame.time_base) * 40
        wave = np.sin((x + shift) / 5 + index) + np.cos((y - shift) / 7)
        rows[:, : plane.width] = (128 + 50 * wave) * 2 ** (depth - 8) + (x * 7 + y * 3) % 11


def write_clip(
    path,
    *,
    codec="libx264",
    pixel_format="yuv420p",
    size=(64, 48),
    frames=12,
    rate=25,
    pts=None,
    time_base=Fraction(1, 12800),
    audio=(),
    layout="mono",
    sound_from=0,
    options=None,
    draw=texture,
    prepare=lambda container, stream: None,
    muxer=None,
    scan="prog",
):
    """Writes a clip.

    Args:
        path: the file.
        codec: video encoder; None for a file without video.
        pixel_format: of the frames.
        size: width and height.
        frames: how many; ``pts`` overrides it.
        rate: frames per second.
        pts: timestamps in ticks of ``time_base``; None for a constant rate.
        time_base: of the video stream.
        audio: encoders of the sine tracks to add.
        layout: channels of these.
        sound_from: seconds at which they begin.
        options: of the video encoder.
        draw: fills the planes of a frame.
        prepare: called with container and video stream before the header is written.
        muxer: FFmpeg's name of the container, where the suffix does not tell.
        scan: flags of the frames: ``prog``, ``tff`` or ``bff``; a list has one for each frame.
    """
    step = round(1 / (rate * time_base))
    pts = [i * step for i in range(frames)] if pts is None else pts
    scans = [scan] * len(pts) if isinstance(scan, str) else scan
    with av.open(str(path), "w", format=muxer) as container:
        video = None
        if codec is not None:
            video = container.add_stream(
                codec,
                rate=rate,
                width=size[0],
                height=size[1],
                time_base=time_base,
                options=options or {},
            )
            video.pix_fmt = pixel_format
        tracks = [container.add_stream(name, rate=AUDIO_RATE, layout=layout) for name in audio]
        prepare(container, video)
        packets = [_sine(track, sound_from, (pts[-1] + step) * time_base) for track in tracks]
        if video is not None:
            packets.append(_drawn(video, pts, step, time_base, size, pixel_format, draw, scans))
        by_time = sorted(itertools.chain(*packets), key=lambda p: p.dts * p.time_base)
        container.mux(by_time)
    return path


def _drawn(stream, pts, step, time_base, size, pixel_format, draw, scans):
    for i, ticks in enumerate(pts):
        frame = av.VideoFrame(*size, pixel_format)
        frame.pts, frame.time_base = ticks, time_base
        frame.duration = pts[i + 1] - ticks if i + 1 < len(pts) else step
        draw(frame)
        yield from stream.encode(frame if scans[i] == "prog" else flagged(frame, scans[i]))
    yield from stream.encode(None)


def flagged(frame, scan):
    """A frame flagged as interlaced, ``tff`` or ``bff``, which PyAV itself cannot do."""
    graph = av.filter.Graph()
    source = graph.add_buffer(
        width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base
    )
    field, sink = graph.add("setfield", scan), graph.add("buffersink")
    source.link_to(field)
    field.link_to(sink)
    graph.configure()
    source.push(frame)
    return sink.pull()


def _sine(stream, begin, end):
    context = stream.codec_context
    layout, channels = context.layout.name, context.layout.nb_channels
    for start in range(int(begin * AUDIO_RATE), int(end * AUDIO_RATE), 1024):
        phase = (start + np.arange(1024)) * (2 * np.pi * 440 / AUDIO_RATE)
        sine = 0.3 * np.sin(phase)[None]
        if context.format.name == "s16":
            samples = (sine * 32767).astype(np.int16).repeat(channels, 1)
            frame = av.AudioFrame.from_ndarray(samples, "s16", layout)
        else:
            samples = sine.astype(np.float32).repeat(channels, 0)
            frame = av.AudioFrame.from_ndarray(samples, "fltp", layout)
        frame.sample_rate, frame.pts = AUDIO_RATE, start
        frame.time_base = Fraction(1, AUDIO_RATE)
        yield from stream.encode(frame)
    yield from stream.encode(None)


def add_extras(container, video):
    """A ``prepare`` for Matroska: tags, chapters, subtitles, a font and cover art."""
    container.metadata.update(title="A title", COLLECTION="kept as it is")
    video.metadata["title"] = "the picture"
    for track, language in zip(container.streams.audio, ("eng", "deu"), strict=True):
        track.metadata["language"] = language
    container.streams.audio[1].disposition = av.stream.Disposition.comment
    container.set_chapters(
        [
            {
                "id": i + 1,
                "start": i * 200,
                "end": (i + 1) * 200,
                "time_base": Fraction(1, 1000),
                "metadata": {"title": f"chapter {i}"},
            }
            for i in range(2)
        ]
    )
    subtitles = container.add_mux_stream("subrip")
    subtitles.metadata["language"] = "fra"
    container.add_attachment("font.ttf", "application/x-truetype-font", b"not a font" * 9)
    container.add_attachment("cover.png", "image/png", png())
    for i in range(2):
        packet = av.Packet(f"line {i}".encode())
        packet.stream, packet.time_base = subtitles, Fraction(1, 1000)
        packet.pts = packet.dts = i * 200
        packet.duration = 150
        container.mux(packet)


def png():
    """A PNG file."""
    context = av.CodecContext.create("png", "w")
    context.width, context.height, context.pix_fmt = 16, 16, "rgb24"
    context.time_base = Fraction(1, 25)
    frame = av.VideoFrame(16, 16, "rgb24")
    frame.pts = 0
    return b"".join(bytes(packet) for packet in context.encode(frame) + context.encode(None))


def read_frames(path):
    """The decoded frames: seconds, and the samples of each plane without padding."""
    with av.open(str(path)) as container:
        return [
            (frame.pts * frame.time_base, planes_of(frame)) for frame in container.decode(video=0)
        ]


def planes_of(frame):
    """Copies of the planes of a frame whose samples each have a plane of their own."""
    depth = frame.format.components[0].bits
    return [samples(plane, np.uint8 if depth == 8 else np.uint16) for plane in frame.planes]


def samples(plane, dtype=np.uint8):
    """A copy of a plane, (H, W)."""
    rows = np.frombuffer(plane, dtype).reshape(plane.height, -1)
    return rows[:, : plane.width].copy()


def read_packets(path, kind):
    """For each stream of a kind: its packets' seconds, durations and bytes."""
    with av.open(str(path)) as container:
        streams = [stream for stream in container.streams if stream.type == kind]
        found = {stream.index: [] for stream in streams}
        for packet in container.demux(streams) if streams else ():
            if packet.size and packet.pts is not None:
                base = packet.time_base
                found[packet.stream.index].append(
                    (packet.pts * base, packet.duration * base, bytes(packet))
                )
        return list(found.values())


def damage_packet(path, index):
    """Overwrites one video packet of a file, counted from 0."""
    with av.open(str(path)) as container:
        victim = [packet for packet in container.demux(video=0) if packet.size][index]
        content = bytes(victim)
    data = path.read_bytes()
    assert data.count(content) == 1
    path.write_bytes(data.replace(content, b"\xff" * len(content)))


@contextmanager
def full_disk(size):
    """Makes writes fail beyond so many bytes of any file."""
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limit[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)


def add_pictures(container, _):
    """A ``prepare`` for Matroska: subtitles of Blu-ray, which are pictures."""
    track = container.add_mux_stream("hdmv_pgs_subtitle")
    packet = av.Packet(b"\x16\0\x13" + bytes(19) + b"\x80\0\0")
    packet.stream, packet.time_base = track, Fraction(1, 1000)
    packet.pts = packet.dts = 0
    packet.duration = 100
    container.mux(packet)
