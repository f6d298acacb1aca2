"""Choice of the rate factor for a size, from samples of the enhanced video."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from vqe_fast.storage.location import drafts_folder
from vqe_fast.video.errors import SourceError, VideoError
from vqe_fast.video.media.encoders import ENCODERS, Encoder
from vqe_fast.video.media.reader import VideoReader
from vqe_fast.video.pipeline.enhancer import Enhancer
from vqe_fast.video.pipeline.run import run
from vqe_fast.video.segments.samples import SampleWriter, count_bytes, encoded_size
from vqe_fast.video.segments.segment_reader import SegmentReader
from vqe_fast.video.segments.split import Segment, plan_segments
from vqe_fast.video.session import EnhanceSession

_SAMPLES, _SECONDS = 8, 2.0
_HEADER, _BYTES_A_PACKET = 2048, 12  # what a container adds
_MOST_TRIES = 8


def rate_factor_for_size(session: EnhanceSession, enhancer: Enhancer) -> float | None:
    """The smallest rate factor at which the target should be no larger than was asked for.

    Samples are enhanced once, and encoded at several factors. Where the source took more bytes,
    so will the target: a sample's size counts in proportion to the bytes it had there.

    Args:
        session: the enhancement.
        enhancer: of ``session``.

    Returns:
        The factor; None if no size was asked for.

    Raises:
        VideoError: the size is out of reach, or the video cannot be sampled.
    """
    wanted = session.wanted_size
    if wanted is None:
        return None
    segments = _choose_segments(session)
    is_all = len(segments) == 1
    source = count_bytes(session.source, segments)
    available = wanted - source.others - _HEADER - _BYTES_A_PACKET * source.packets
    scale = source.all_video / max(sum(source.video), 1)
    name = f".{session.target.stem[:40]}.samples"
    with (
        session.open() as video,
        TemporaryDirectory(prefix=name, dir=drafts_folder(session.target)) as folder,
    ):
        samples = [Path(folder) / f"{number}.nut" for number in range(len(segments))]
        for segment, path in zip(segments, samples, strict=True):
            _enhance_sample(session, enhancer, video, segment, path)
        settings = session.settings(video)

        def size_at(crf: float) -> float:
            tried = replace(settings, crf=crf)
            return scale * sum(
                encoded_size(path, session.target, video, tried, is_all=is_all) for path in samples
            )

        crf = search(size_at, available, ENCODERS[settings.codec])
    if crf is None:
        raise VideoError(
            f"{settings.codec} does not reach {wanted} bytes, of which other streams take "
            f"{source.others}, at any rate factor; give a larger target size"
        )
    return crf


def search(size_at: Callable[[float], float], available: float, encoder: Encoder) -> float | None:
    """The smallest rate factor tried whose size is available; None if there is none.

    The logarithm of the size is nearly linear in the factor: each try goes where the line through
    the two nearest sizes meets the one available, until that has been tried.

    Args:
        size_at: the size at a factor.
        available: bytes.
        encoder: its factors; 0, which stands for lossless, is not among those tried.
    """
    assert encoder.default_crf is not None
    if available <= 0:
        return None
    least, most, step = max(encoder.min_crf, 1), encoder.max_crf, encoder.crf_step
    sizes: dict[float, float] = {}
    crf = float(encoder.default_crf)
    while crf not in sizes and len(sizes) < _MOST_TRIES:
        sizes[crf] = math.log(max(size_at(crf), 1))
        line = _line(sizes, math.log(available), encoder)
        crf = min(max(math.ceil(line / step) * step, least), most)
    return min((each for each, size in sizes.items() if size <= math.log(available)), default=None)


def _line(sizes: dict[float, float], wanted: float, encoder: Encoder) -> float:
    """Where the logarithm of the size should be the one wanted."""
    slope = -math.log(2) / 6 * 51 / encoder.max_crf  # a step of six halves the size
    near = sorted(sizes, key=lambda crf: abs(sizes[crf] - wanted))[:2]
    if len(near) == 2 and sizes[near[0]] != sizes[near[1]]:
        slope = (sizes[near[1]] - sizes[near[0]]) / (near[1] - near[0])
    return near[0] + (wanted - sizes[near[0]]) / slope


def _choose_segments(session: EnhanceSession) -> list[Segment]:
    """Some seconds out of each part of the video; all of it if it is not longer."""
    with session.open() as video:
        pictures = video.pictures_a_frame
    try:
        plan = plan_segments(session.source, _SECONDS, pictures)
    except VideoError as error:
        raise SourceError(
            f"how large {session.target} will be cannot be foreseen, as the timestamps of "
            f"{session.source} are missing or restart; give a crf instead of a target size"
        ) from error
    if len(plan) <= _SAMPLES:
        return [Segment(None, None, sum(each.frames for each in plan))]
    return [plan[(2 * part + 1) * len(plan) // (2 * _SAMPLES)] for part in range(_SAMPLES)]


def _enhance_sample(
    session: EnhanceSession, enhancer: Enhancer, video: VideoReader, segment: Segment, path: Path
) -> None:
    with session.qp_provider() as qps:
        excerpt = SegmentReader.of(session, enhancer, segment, qps)
        tell_qps = session.telling_qps(qps, video)
        with closing(SampleWriter(path, video)) as writer:
            run(tell_qps(excerpt), enhancer, writer, lambda done: None)
