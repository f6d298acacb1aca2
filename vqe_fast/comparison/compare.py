"""``compare_videos``: video files to the page that compares them."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from vqe_fast._version import __version__
from vqe_fast.comparison.crop import Crop
from vqe_fast.comparison.figures import Figures
from vqe_fast.comparison.footage import Shown
from vqe_fast.comparison.matching import Videos
from vqe_fast.comparison.measures import Quality, measure
from vqe_fast.comparison.page import Page
from vqe_fast.comparison.webp import lossless_webp
from vqe_fast.comparison.writing import drafted
from vqe_fast.video.errors import VideoError
from vqe_fast.video.options import count_of_frames

_SECONDS = 5.0
_BYTES = 128_000_000

_Pending = tuple[tuple[Shown, ...], list["Future[bytes]"]]


@dataclass(frozen=True)
class ComparisonReport:
    """Report of a comparison: what its page shows.

    Attributes:
        target: the file written.
        bytes: its size.
        frames: moments in it, each with a picture of every video.
        matched_by: ``"number"`` or ``"time"``.
        quality: letter → mean PSNR and SSIM of luma against the reference; without one, ``AB`` →
            those of A against B.
        remarks: what the page tells of its pictures, in sentences.
        seconds: wall-clock time.
    """

    target: str
    bytes: int
    frames: int
    matched_by: str
    quality: dict[str, Quality]
    remarks: tuple[str, ...]
    seconds: float


def compare_videos(
    a: str | os.PathLike[str],
    b: str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    reference: str | os.PathLike[str] | None = None,
    start: float = 0.0,
    b_begins: float | None = None,
    frames: int | None = None,
    crop: Crop | None = None,
    progress: Callable[[int, int | None], None] | None = None,
) -> ComparisonReport:
    """Writes an HTML page that shows two versions of a video, and the reference if given.

    The page is one file, which any browser shows without a network. Its pictures are the decoded
    frames as RGB of 8 bits, by matrix and range of each stream, in lossless WebP: differences are
    those of the videos, not of the page. It shows PSNR and SSIM of luma, against the reference or
    else of A against B, and the QP, type and size of each frame.

    Frames are matched by their number where all videos have as many frames; else each frame of A
    is shown with those of the others that are nearest in time. The shortest video counts.

    Args:
        a: a video, such as the compressed one.
        b: the video to compare with it, such as the enhanced one, of the same size.
        target: the page to write; one that exists is replaced.
        reference: the original of both.
        start: seconds of ``a`` to pass over.
        b_begins: where ``b`` begins if it is an excerpt: with the first frame of ``a`` that is so
            many seconds after its first one.
        frames: how many to show; None for 5 seconds, or fewer if the page would grow beyond 128 MB.
        crop: the part of the frames to show and to measure, in pixels of the upright picture; None
            for all.
        progress: called after each frame with how many are done, and of how many, or None.

    Returns:
        What was written.

    Raises:
        VideoError: the videos cannot be compared or the page cannot be written; the text says why.
    """
    began = time.perf_counter()
    frames = count_of_frames(frames)
    if not 0 <= start < float("inf"):
        raise VideoError(f"the start must be a number of seconds from 0 on, got {start}")
    paths = [Path(path) for path in (a, b, reference) if path is not None]
    target = Path(target)
    with (
        drafted(target, paths) as draft,
        Videos(paths, crop, b_begins) as videos,
        draft.open("w", encoding="utf-8") as file,
    ):
        page = Page(file, " | ".join(footage.name for footage in videos.footage))
        figures = Figures(videos)
        wanted = _at_most(videos, max(start - (b_begins or 0), 0), frames)
        for moment, pictures in _encoded(videos, start, frames):
            size = sum(4 * len(picture) // 3 for picture in pictures)
            if frames is None and figures.count and page.written + size > _BYTES:
                break
            for footage, picture in zip(videos.footage, pictures, strict=True):
                page.add(f"{footage.letter}{figures.count}", picture)
            figures.add(moment, measure(videos, moment))
            if progress is not None:
                progress(figures.count, wanted)
        page.finish({"version": __version__} | figures.to_dict())
    return ComparisonReport(
        target=str(target),
        bytes=target.stat().st_size,
        frames=figures.count,
        matched_by="number" if videos.by_number else "time",
        quality=figures.means(),
        remarks=tuple(figures.remarks()),
        seconds=time.perf_counter() - began,
    )


def _chosen(videos: Videos, start: float, frames: int | None) -> Iterator[tuple[Shown, ...]]:
    moments = videos.moments(start)
    if frames is not None:
        yield from islice(moments, frames)
        return
    first: float | None = None
    for moment in moments:
        seconds = moment[0].seconds
        first = seconds if first is None else first
        if seconds - first >= _SECONDS - 1e-9:
            return
        yield moment


def _at_most(videos: Videos, start: float, frames: int | None) -> int:
    """An estimate of how many frames there will be."""
    rate = float(videos.footage[0].facts.frame_rate)
    there = max(min(videos.frame_counts) - round(start * rate), 1)
    return min(there, round(_SECONDS * rate) if frames is None else frames)


def _encoded(
    videos: Videos, start: float, frames: int | None
) -> Iterator[tuple[tuple[Shown, ...], list[bytes]]]:
    """Moments with their pictures, which as many threads encode as there are cores."""
    cores = os.cpu_count() or 1
    pending: deque[_Pending] = deque()
    with ThreadPoolExecutor(cores) as pool:
        try:
            for moment in _chosen(videos, start, frames):
                rows, columns = videos.crop.slices
                pictures = [
                    pool.submit(lossless_webp, footage.pixels(shown)[rows, columns])
                    for footage, shown in zip(videos.footage, moment, strict=True)
                ]
                pending.append((moment, pictures))
                if len(pending) > cores:
                    yield _finished(pending.popleft())
            while pending:
                yield _finished(pending.popleft())
        finally:
            pool.shutdown(cancel_futures=True)


def _finished(pending: _Pending) -> tuple[tuple[Shown, ...], list[bytes]]:
    moment, pictures = pending
    return moment, [picture.result() for picture in pictures]
