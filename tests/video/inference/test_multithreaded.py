"""Several frames at once on a CPU: the same frames in order, and no thread stays."""

import os
import signal
import threading
import time

import pytest
import torch

from support.frames import CPU, enhanced, enhancer_of, textured
from support.memory import threads
from support.modules import LUMA_SPEC, Pointwise
from support.small_models import randomised
from vqe_fast.models import spec_of
from vqe_fast.video.frames.model_input import view_for
from vqe_fast.video.frames.tensors import load_planes
from vqe_fast.video.inference.dispatch import find_runner
from vqe_fast.video.inference.frame_coding import FrameCoding
from vqe_fast.video.inference.memory import memory_taken
from vqe_fast.video.inference.memory_plan import make_plan
from vqe_fast.video.inference.multithreaded import ConcurrentRunner
from vqe_fast.video.inference.runner import InputFrame
from vqe_fast.video.inference.single_frame import SingleRunner
from vqe_fast.video.inference.tiling import Tiling
from vqe_fast.video.options import ModelOptions
from vqe_fast.video.pipeline.bundle import FrameBundle
from vqe_fast.video.pipeline.run import run

SIZE = (48, 64)


@pytest.fixture(autouse=True)
def no_thread_stays():
    before = threading.active_count()
    yield
    assert threading.active_count() == before


def frames(model, count):
    """Frames that differ, each with a QP of its own."""
    spec = spec_of(model)
    frames = [textured(number) for number in range(count)]
    view = view_for(spec.planes, frames[0])
    for number, frame in enumerate(frames):
        coding = FrameCoding(20.0 + 3 * number) if spec.takes_qp else None
        yield InputFrame(load_planes(frame, view.planes, CPU), view, coding)


def results(runner, model, count=7):
    found = [result for frame in frames(model, count) for result in runner.push(frame)]
    found += runner.flush()
    runner.close()
    return found


@pytest.mark.parametrize("tile", [None, 32])
@pytest.mark.parametrize("name", ["carcnn_small", "dualres_s", "galteri_very_fast"])
def test_as_one_after_the_other(name, tile):
    model = randomised(name)
    runners = (
        ConcurrentRunner(model, Tiling(spec_of(model), SIZE, tile), at_once=3),
        SingleRunner(model, Tiling(spec_of(model), SIZE, tile)),
    )
    found, expected = (results(runner, model) for runner in runners)
    assert len(found) == 7 and not torch.equal(expected[0], expected[1])
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)
    again = results(runners[0], model, 2)
    torch.testing.assert_close(again, expected[:2], rtol=0, atol=1e-6)


def test_frames_run_beside_each_other():
    """Each waits in the model for the others; each with as many cores as the others."""
    together, cores = threading.Barrier(3), []

    def wait(luma):
        cores.append(torch.get_num_threads())
        together.wait(timeout=60)
        return luma

    model = Pointwise(wait)
    with threads(7):
        results(ConcurrentRunner(model, Tiling(LUMA_SPEC, SIZE), at_once=3), model, 3)
        assert torch.get_num_threads() == cores_of_a_new_thread() == 7
    assert cores == [2, 2, 2]


def cores_of_a_new_thread():
    found = []
    thread = threading.Thread(target=lambda: found.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    return found[0]


def test_copies_share_their_parameters():
    model = randomised("dualres_s")
    runner = ConcurrentRunner(model, Tiling(spec_of(model), SIZE), at_once=2)
    for twin in runner._models:
        assert twin is not model
        pairs = zip(twin.parameters(), model.parameters(), strict=True)
        assert all(theirs is ours for theirs, ours in pairs)


def test_a_part_in_torchscript():
    """It has no hooks."""
    model = Pointwise()
    model.function = torch.jit.script(torch.nn.Conv2d(1, 1, 1))
    assert len(results(ConcurrentRunner(model, Tiling(LUMA_SPEC, SIZE), at_once=2), model, 3)) == 3


def interrupted_start(monkeypatch):
    """A signal arrives while the threads start, which takes them long."""
    set_threads, main = torch.set_num_threads, threading.main_thread()

    def late(count):
        if threading.current_thread() is not main:
            time.sleep(0.2)
        set_threads(count)

    monkeypatch.setattr(torch, "set_num_threads", late)
    threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()
    return KeyboardInterrupt


def no_second_thread(monkeypatch):
    start, started = threading.Thread.start, []

    def limited(thread):
        if started:
            raise RuntimeError("can't start new thread")
        started.append(thread)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", limited)
    return RuntimeError


@pytest.mark.parametrize("trouble", [interrupted_start, no_second_thread])
def test_threads_that_do_not_start(trouble, monkeypatch):
    """Those that did end, and the number of cores is what it was."""
    model = Pointwise()
    runner = ConcurrentRunner(model, Tiling(LUMA_SPEC, SIZE), at_once=3)
    with threads(6):
        with monkeypatch.context() as patch:
            error = trouble(patch)
            with pytest.raises(error):
                results(runner, model)
        runner.close()
        assert torch.get_num_threads() == cores_of_a_new_thread() == 6
        assert len(results(runner, model)) == 7


class Discard:
    """Where frames end."""

    def write(self, item):
        pass

    def finish(self):
        pass


def numbered(count, pause=0.0):
    for number in range(count):
        time.sleep(pause)
        yield FrameBundle(frame=textured(number))


def slow(luma):
    time.sleep(0.05)
    return luma


def test_seconds_of_the_model():
    """Those in which it works count, though the caller waits for the decoder meanwhile."""
    with threads(2):
        enhancer = enhancer_of(Pointwise(slow), textured(0))
        start = time.perf_counter()
        _, seconds = run(numbered(12, pause=0.05), enhancer, Discard(), lambda done: None)
        wall = time.perf_counter() - start
    assert 12 * 0.05 / 2 <= seconds["model"] <= wall
    assert 0 <= seconds["waiting"] <= wall - seconds["model"] + 0.05


def test_an_error_of_the_caller_ends_the_threads():
    """While it is being handled, too."""

    def fail(done):
        raise ArithmeticError("out of tune")

    before = threading.active_count()
    with threads(2):
        enhancer = enhancer_of(Pointwise(slow), textured(0))
        with pytest.raises(ArithmeticError) as error:
            run(numbered(8), enhancer, Discard(), fail)
    assert error.value.__traceback__ is not None
    assert threading.active_count() == before


def test_what_is_too_large_for_several_is_halved_once():
    together = threading.Barrier(4)

    def limited(luma):
        if luma.shape[-1] * luma.shape[-2] > 128**2:
            together.wait(timeout=60)
            raise MemoryError
        return luma

    with threads(4):
        _, enhancer, _ = enhanced(
            Pointwise(limited), [textured(number, (256, 256)) for number in range(4)]
        )
    assert enhancer.tile == 128


def test_an_error_arrives():
    def fail(luma):
        raise ArithmeticError("out of tune")

    model = Pointwise(fail)
    runner = ConcurrentRunner(model, Tiling(LUMA_SPEC, SIZE), at_once=2)
    with pytest.raises(ArithmeticError, match="out of tune"):
        results(runner, model)
    runner.close()


class Layers(torch.nn.Module):
    """Takes a minute, in layers that take a hundredth of a second."""

    spec = LUMA_SPEC

    def __init__(self, entered):
        super().__init__()
        self.layers = torch.nn.Sequential(*[Pointwise(self._sleep) for _ in range(6000)])
        self.entered = entered

    def _sleep(self, luma):
        self.entered.set()
        time.sleep(0.01)
        return luma

    def forward(self, luma):
        return self.layers(luma)

    def __deepcopy__(self, memo):
        return self


def test_closing_does_not_wait_for_the_frames():
    """And leaves the model as it was, where a copy of it is itself."""
    model = Layers(threading.Event())
    runner = ConcurrentRunner(model, Tiling(LUMA_SPEC, SIZE), at_once=2)
    for frame in frames(model, 2):
        assert list(runner.push(frame)) == []
    assert model.entered.wait(60)
    start = time.monotonic()
    runner.close()
    assert time.monotonic() - start < 20
    assert list(runner.flush()) == []
    assert not any(layer._forward_pre_hooks for layer in model.modules())


@pytest.mark.parametrize(
    ("name", "cores", "at_once"),
    [
        ("carcnn_small", 1, 1),
        ("carcnn_small", 2, 2),
        ("carcnn_small", 6, 3),
        ("carcnn_small", 11, 2),
        ("carcnn_small", 32, 4),
        ("pequenet", 4, 1),
    ],
)
def test_plan(name, cores, at_once):
    """For models that see one frame, by the cores."""
    model = randomised(name)
    spec = spec_of(model)
    shape = (1, 3, 1, 64, 64) if spec.temporal_radius else (1, 1, 64, 64)

    with threads(cores):
        plan = make_plan(model, lambda frames: torch.rand(shape), (256, 256), CPU, ModelOptions())
    assert plan.at_once == at_once
    assert isinstance(find_runner(model, plan), ConcurrentRunner) == (at_once > 1)


@torch.inference_mode()
@pytest.mark.parametrize(("frames", "at_once"), [(0.5, 1), (1.5, 1), (2.5, 2), (9, 4)])
def test_memory_bounds_the_plan(frames, at_once):
    """As much as is allowed for so many frames; for half a frame tiles, one at a time."""
    model, window = randomised("carcnn_small"), torch.rand(1, 1, 64, 64)
    a_pixel = 1.5 * memory_taken(lambda: model(window, 30.0), CPU) / 64**2
    limits = ModelOptions(max_memory=int(frames * a_pixel * 256**2))
    with threads(8):
        plan = make_plan(model, lambda frames: window, (256, 256), CPU, limits)
    assert plan.at_once == at_once
    assert (plan.tiling.tile is None) == (frames > 1)
