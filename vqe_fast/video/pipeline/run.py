"""The pipeline of decoder, model and encoder, each in a thread."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from typing import Any, Protocol

from av.packet import Packet
from av.video.frame import VideoFrame

from vqe_fast.video.pipeline.bundle import FrameBundle
from vqe_fast.video.pipeline.enhancer import Enhancer, ResultWriter
from vqe_fast.video.threads.pipeline import run_pipeline
from vqe_fast.video.threads.timings import Timings


class Writer(Protocol):
    """Interface of the pipeline's end, which takes frames and packets."""

    def write(self, item: VideoFrame | Packet[Any]) -> None:
        """Takes the next frame or packet."""
        ...

    def finish(self) -> None:
        """Writes the end of the file."""
        ...


def run(
    bundles: Iterable[FrameBundle],
    enhancer: Enhancer,
    writer: Writer,
    on_frame: Callable[[int], None],
) -> tuple[int, dict[str, float]]:
    """Runs decoder, model and encoder at the same time.

    Args:
        bundles: decoded frames, looked at already.
        enhancer: the model.
        writer: takes what is to be written.
        on_frame: called in the calling thread with the number of frames enhanced so far.

    Returns:
        The number of frames, and how long each stage worked, see :meth:`Timings.report`.
    """
    timings, done, before = Timings(), 0, enhancer.seconds

    def work(bundles: Iterable[FrameBundle]) -> Iterator[FrameBundle]:
        nonlocal done
        with closing(enhancer(timings.making("starve", bundles))) as enhanced:
            for bundle in timings.using("block", timings.making("enhance", enhanced)):
                if bundle.frame is not None and bundle.is_kept:
                    done += 1
                    on_frame(done)
                yield bundle

    def arrived(bundles: Iterable[FrameBundle]) -> Iterator[FrameBundle]:
        for bundle in bundles:
            if bundle.result is not None:
                with timings.span("arrive"):
                    bundle.result.wait()
            yield bundle

    def write(bundles: Iterable[FrameBundle]) -> None:
        put_result = ResultWriter(enhancer.view.planes)
        for bundle in timings.using("encode", arrived(bundles)):
            put_result(bundle)
            for item in bundle.items():
                writer.write(item)
        with timings.span("encode"):
            writer.finish()

    run_pipeline(timings.making("decode", bundles), work, write)
    return done, timings.report(enhancer.seconds - before)
