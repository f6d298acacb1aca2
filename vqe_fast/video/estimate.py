"""``estimate_video``: how long an enhancement will take, and how large its output will be."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from typing import Any

import av
from av.packet import Packet
from av.video.frame import VideoFrame
from torch import nn

from vqe_fast.storage.location import Locatable, Location, location
from vqe_fast.video.errors import SourceError, storage_refusals
from vqe_fast.video.media.compatibility import refuse_misfits
from vqe_fast.video.media.containers import format_of
from vqe_fast.video.media.encoder_settings import EncoderSettings
from vqe_fast.video.media.encoders import ENCODERS
from vqe_fast.video.media.open import open_video, read_packets
from vqe_fast.video.media.output_name import beside
from vqe_fast.video.media.reader import VideoReader
from vqe_fast.video.media.video_encoder import FrameEncoder, add_video
from vqe_fast.video.options import count_of_frames, parse_options, with_options
from vqe_fast.video.pipeline.bundle import FrameBundle
from vqe_fast.video.pipeline.enhancer import Enhancer
from vqe_fast.video.pipeline.run import run
from vqe_fast.video.quality import DEFAULT_MODEL
from vqe_fast.video.segments.segment_reader import SegmentReader
from vqe_fast.video.segments.split import Segment
from vqe_fast.video.session import EnhanceSession

_SECONDS = 4.0
_AHEAD, _PATIENCE = 4, 0.5
"""Frames that go ahead of the first result, and seconds to wait for it before each further one."""
_OTHERS_SEEN = 2000  # packets that tell the bit rate of other streams


@dataclass(frozen=True)
class Estimate:
    """Estimate of an enhancement, from frames near the beginning and in the middle.

    Attributes:
        source: the file that was read.
        target: the file that was not written.
        frames: how many there are to enhance, roughly.
        width: samples per row of luma.
        height: rows of luma.
        model: the registered name, or the class of the module that was passed.
        precision: dtype of the model's weights.
        device: where the model ran.
        fps: frames enhanced and encoded a second, by one process.
        seconds: that all will take, without starting.
        source_bytes: size of the source.
        target_bytes: size of the target, roughly: other streams are taken to go on as they begin.
    """

    source: str
    target: str
    frames: int
    width: int
    height: int
    model: str
    precision: str
    device: str
    fps: float
    seconds: float
    source_bytes: int
    target_bytes: int

    def to_dict(self) -> dict[str, Any]:
        """All fields, ready for JSON."""
        return asdict(self)


@with_options
@storage_refusals()
def estimate_video(
    source: Locatable,
    target: Locatable | None = None,
    model: str | nn.Module = DEFAULT_MODEL,
    *,
    start: float = 0.0,
    frames: int | None = None,
    **options: Any,
) -> Estimate:
    """Measures for some seconds how fast an enhancement would be; writes nothing.

    Decoder, model and encoder run as :func:`vqe_fast.video.enhance_video` runs them, at the
    beginning and in the middle of the video.

    Args:
        source: the file to read.
        target: the file that would be written; see there.
        start: seconds that would be passed over.
        frames: how many would be enhanced; None for all.
        {options}

    Returns:
        Time and size.

    Raises:
        VideoError: source, target or options do not allow it; the text says what to do.
        WeightsError: the weights are missing, unreadable, or another model's.
    """
    source, limit = location(source), count_of_frames(frames)
    chosen, encode, _ = parse_options({"model": model, **options})
    target = beside(source, encode.codec) if target is None else location(target)
    session = EnhanceSession(source, target, chosen, encode).in_container()
    with session.open() as video:
        session.view(video)
        settings = session.settings(video)
        refuse_misfits(session.target, video, settings)
        count = max(_count(video) - round(start * video.facts.frame_rate), 1)
        count = count if limit is None else min(limit, count)
        enhancer = session.enhancer(video)
        pieces = _pieces(video, count)
        tried = [_Trial(session, enhancer, video, piece) for piece in pieces]
        for each in tried:
            each.run(_SECONDS / len(pieces))
        facts = video.facts
        size = _video_bytes(tried, count, ENCODERS[settings.codec].keyframes)
        size += _other_bytes(video, count)
    fps = sum(each.measured for each in tried) / sum(each.seconds for each in tried)
    return Estimate(
        source=str(source),
        target=str(session.target),
        frames=count,
        width=facts.width,
        height=facts.height,
        model=session.model_name,
        precision=enhancer.precision,
        device=str(session.device),
        fps=fps,
        seconds=count / fps,
        source_bytes=source.stat().st_size,
        target_bytes=round(size if session.wanted_size is None else session.wanted_size),
    )


class _Trial:
    """A few seconds of an enhancement.

    Attributes:
        measured: frames that were enhanced in the time measured.
        seconds: that time: from the first frame to the last packet.
        sizes: of each packet encoded, and whether it is a keyframe.
    """

    def __init__(
        self, session: EnhanceSession, enhancer: Enhancer, video: VideoReader, segment: Segment
    ) -> None:
        self.measured = 0
        self.seconds = 0.0
        self.sizes: list[tuple[int, bool]] = []
        self._session, self._enhancer, self._video = session, enhancer, video
        self._segment = segment
        self._first: float | None = None
        self._done = 0
        self._begun = threading.Event()

    def run(self, seconds: float) -> None:
        """Enhances for about so many seconds from the first result on.

        Raises:
            VideoError: the video cannot be decoded, enhanced or encoded.
        """
        session, video = self._session, self._video
        with session.qp_provider() as qps:
            excerpt = SegmentReader.of(session, self._enhancer, self._segment, qps)
            bundles = session.telling_qps(qps, video)(self._until_over(iter(excerpt), seconds))
            began = time.perf_counter()
            writer = _SizeWriter(session.target, video, session.settings(video), self.sizes)
            done, _ = run(bundles, self._enhancer, writer, self._on_frame)
            ended = time.perf_counter()
        if done == 0:
            raise SourceError(f"no frame of {session.source} could be enhanced to measure the time")
        # The first frame pays for what is done once; where there is no other, it has to count.
        alone = done == 1 or self._first is None
        self.measured = done if alone else done - 1
        self.seconds = ended - (began if self._first is None or done == 1 else self._first)

    def _on_frame(self, done: int) -> None:
        self._done = done
        if self._first is None:
            self._first = time.perf_counter()
            self._begun.set()

    def _until_over(self, bundles: Iterator[FrameBundle], seconds: float) -> Iterator[FrameBundle]:
        """Passes on so many bundles that all of them are done in time, roughly."""
        began, fed = time.perf_counter(), 0
        enough = 2 * self._enhancer.reach + _AHEAD
        with closing(bundles):  # type: ignore[type-var]
            for bundle in bundles:
                if fed >= enough and self._enhancer.clip_frames is None:
                    self._begun.wait(_PATIENCE)  # else queues fill, and have to be worked off
                if self._first is not None:
                    now = time.perf_counter()
                    waiting = (fed - self._done) * (now - began) / self._done
                    if now - self._first + waiting > seconds:
                        return
                fed += 1
                yield bundle


class _SizeWriter:
    """Encoder whose packets are weighed and thrown away."""

    def __init__(
        self,
        target: Location,
        source: VideoReader,
        settings: EncoderSettings,
        sizes: list[tuple[int, bool]],
    ) -> None:
        self._container = av.open(io.BytesIO(), "w", format=format_of(target))
        self._encoder = FrameEncoder(add_video(self._container, source, settings), settings.codec)
        self._sizes = sizes

    def write(self, item: VideoFrame | Packet[Any]) -> None:
        if isinstance(item, VideoFrame):
            self._weigh(self._encoder.encode(item))

    def finish(self) -> None:
        self._weigh(self._encoder.finish())
        self._container.close()

    def _weigh(self, packets: list[Packet[Any]]) -> None:
        self._sizes += [(packet.size, packet.is_keyframe) for packet in packets]


def _count(video: VideoReader) -> int:
    """How many frames there are; they are counted where the file does not tell."""
    if video.facts.frame_count:
        return video.facts.frame_count
    with open_video(video.path) as container:
        stream = container.streams[video.video_stream.index]
        packets = read_packets(container, video.path, stream)
        return max(1, sum(packet.size > 0 and not packet.is_discard for packet in packets))


def _pieces(video: VideoReader, count: int) -> list[Segment]:
    """The two halves of the video; all of it where that is short."""
    facts = video.facts
    if count < 4:
        return [Segment(None, None, count)]
    start = video.first_frame.pts or 0
    middle = start + round(count // 2 / facts.frame_rate / facts.time_base)
    return [Segment(None, middle, count // 2), Segment(middle, None, count - count // 2)]


def _video_bytes(tried: Iterable[_Trial], count: int, distance: int) -> float:
    """Size of the video: keyframes are more frequent in what was tried than in all of it.

    Args:
        tried: what was tried.
        count: frames of the video.
        distance: frames from one keyframe to the next.
    """
    sizes = [size for each in tried for size in each.sizes]
    keys = [size for size, is_key in sizes if is_key]
    others = [size for size, is_key in sizes if not is_key]
    if not keys or not others:
        return count * sum(size for size, _ in sizes) / max(len(sizes), 1)
    shots = max(1, count / distance)
    return shots * sum(keys) / len(keys) + (count - shots) * sum(others) / len(others)


def _other_bytes(video: VideoReader, count: int) -> float:
    """Size of all other streams, by the bit rate of their first packets."""
    total, first, last = 0, None, None
    with open_video(video.path) as container:
        for number, packet in enumerate(read_packets(container, video.path)):
            if number == _OTHERS_SEEN:
                break
            if packet.stream.index != video.video_stream.index:
                total += packet.size
            elif packet.size and packet.pts is not None:
                first = packet.pts if first is None else min(first, packet.pts)
                last = packet.pts if last is None else max(last, packet.pts)
    if first is None or last is None or last == first:
        return total
    seen = float((last - first) * video.facts.time_base)
    return total * max(float(count / video.facts.frame_rate) / seen, 1)
