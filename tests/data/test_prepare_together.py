"""Several processes that prepare clips into one folder at the same time."""

import subprocess
import sys
import threading
import time
from contextlib import ExitStack

import pytest
import yaml

from support.clips import moving_texture
from support.pairs import QP_44, write_lossless
from support.processes import PATIENCE, wait_for
from vqe_fast._atomic_write import Presence, atomic_write, delete_drafts, locked
from vqe_fast.data import index as index_module
from vqe_fast.data import prepared as module
from vqe_fast.data.degradation import Degradation
from vqe_fast.data.index import Index, SharedIndex
from vqe_fast.data.prepared import Prepared, prepare
from vqe_fast.data.sources import find_sources
from vqe_fast.data.streams import at_work

EARLY, LATE = range(20, 30), range(24, 34)
MANY = [Degradation("libx264", "qp", qp) for qp in range(30, 42)]


@pytest.fixture
def folder(tmp_path):
    """Two clips in ``clips/``, long enough for processes to meet."""
    (tmp_path / "clips").mkdir()
    for name, step in (("fast", 5), ("slow", 1)):
        frames = moving_texture(30, 256, 192, step=step)
        write_lossless(tmp_path / "clips" / f"{name}.mkv", frames)
    return tmp_path


@pytest.fixture
def small(tmp_path):
    """Two clips of a few frames in ``clips/``."""
    (tmp_path / "clips").mkdir()
    for name, step in (("fast", 5), ("slow", 1)):
        write_lossless(tmp_path / "clips" / f"{name}.mkv", moving_texture(4, step=step))
    return tmp_path


def start(folder, name, qps):
    """A process that prepares both clips at some QPs into ``cache/``."""
    degradations = [{"codec": "libx265", "mode": "qp", "values": list(qps)}]
    (folder / f"{name}.yaml").write_text(yaml.safe_dump({"degradations": degradations}))
    command = ["prepare", f"{name}.yaml", "--output", "cache", "--data", "clips"]
    return subprocess.Popen(
        [sys.executable, "-P", "-c", "from vqe_fast.cli.app import main; main()", *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=folder,
    )


def wait(processes):
    """Their outputs; all of them must have done what they were asked."""
    outputs = [process.communicate(timeout=PATIENCE) for process in processes]
    assert [process.returncode for process in processes] == [0] * len(processes), outputs
    return [out for out, _ in outputs]


def streams_of(folder):
    """Names of the streams of each clip, all of which are what the index says."""
    found = Prepared.open(folder / "cache", verify=True).index
    return {clip.name: set(clip.streams) for clip in found.clips}


def names(qps):
    return {f"x265 QP {qp}" for qp in qps}


def drafts(folder):
    return list((folder / "cache").rglob("*.part*"))


def test_three_at_the_same_time(folder):
    """All finish, and the index holds what any of them made."""
    jobs = [("a", EARLY), ("b", LATE), ("c", EARLY)]
    with ExitStack() as stack:
        outputs = wait([stack.enter_context(start(folder, *job)) for job in jobs])
    assert all("20 streams of 2 clips" in output for output in outputs)
    everything = names([*EARLY, *LATE])
    assert streams_of(folder) == {"fast": everything, "slow": everything}
    assert len(list((folder / "cache" / "streams").iterdir())) == 2 * len(everything)
    assert not drafts(folder)
    assert "20 kept" in wait([start(folder, "a", EARLY)])[0]


def test_one_is_killed_and_runs_again(folder):
    """What it was at work on goes, the other is not disturbed, and in the end all is there."""
    killed, other = start(folder, "a", EARLY), start(folder, "b", LATE)
    with killed, other:
        streams = lambda: list(folder.glob("cache/streams/[!.]*"))  # noqa: E731
        wait_for(lambda: len(streams()) >= 4 and drafts(folder), killed)
        killed.kill()
        wait([other])
    assert killed.returncode < 0
    assert all(found >= names(LATE) for found in streams_of(folder).values())
    wait([start(folder, "a", EARLY)])
    everything = names([*EARLY, *LATE])
    assert streams_of(folder) == {"fast": everything, "slow": everything}
    assert not drafts(folder)


@pytest.fixture
def encoded(monkeypatch):
    """Names of the degradations that were run, in order."""
    done = []
    write = module.write_stream
    monkeypatch.setattr(
        module,
        "write_stream",
        lambda clip, each, *rest: done.append(each.name) or write(clip, each, *rest),
    )
    return done


def run(folder, *degradations, **options):
    return prepare(find_sources([folder / "clips"]), degradations, folder / "cache", **options)


def test_what_another_has_made_meanwhile_is_taken_over(small, monkeypatch):
    """Another run begins and ends while the first is at its first stream."""
    monkeypatch.setattr(index_module, "_WRITE_INTERVAL", 0)
    write, done, progress = module.write_stream, [], []

    def slow_write(clip, degradation, *rest):
        done.append(degradation.name)
        if len(done) == 1:
            run(small, *MANY)
        elif len(done) > 2 * len(MANY):
            time.sleep(0.5)  # until the index has been read again
        return write(clip, degradation, *rest)

    monkeypatch.setattr(module, "write_stream", slow_write)
    made = run(small, *MANY, workers=1, progress=lambda *counts: progress.append(counts))
    assert len(done) <= 1 + 2 * len(MANY) + 2
    assert [len(clip.settings) for clip in made.clips] == [len(MANY)] * 2
    assert progress[-1] == (2 * 4 * (1 + len(MANY)), 2 * 4 * (1 + len(MANY)))


def test_two_with_the_same_to_do_begin_at_opposite_ends(small, encoded):
    run(small, QP_44, *MANY, workers=1)
    alone = encoded.copy()
    encoded.clear()
    for path in (small / "cache").glob("*/*.mkv"):
        path.unlink()
    with at_work(small / "cache"):
        run(small, QP_44, *MANY, workers=1)
    assert encoded == alone[::-1]


def test_nothing_is_deleted_that_another_might_need(small):
    """Versions of a source that has changed stay until nobody else is at work."""
    before = {clip.source.sha256 for clip in run(small, QP_44).index.clips}
    write_lossless(small / "clips" / "fast.mkv", moving_texture(3, step=2))
    with at_work(small / "cache"):
        run(small, QP_44)
        assert before < {clip.source.sha256 for clip in Index.read(small / "cache").clips}
        assert len(list((small / "cache" / "streams").iterdir())) == 3
    run(small, QP_44)
    assert len(Prepared.open(small / "cache").clips) == 2
    assert len(list((small / "cache" / "streams").iterdir())) == 2


def test_what_killed_processes_left_is_deleted_by_who_is_alone(small):
    streams = small / "cache" / "streams"
    streams.mkdir(parents=True)
    left = streams / ".fast-0.x264_qp_44.0123abcd.part.mkv"
    left.touch()
    (small / "cache" / ".index.0123abcd.part.json").touch()
    with at_work(small / "cache"):
        assert not left.exists()
        left.touch()
        run(small, QP_44)
        assert drafts(small) == [left]
    assert not drafts(small)


def test_a_finished_folder_is_not_written_to(small):
    """It may belong to somebody else."""
    run(small, QP_44)
    (small / "cache" / "prepare.lock").unlink()
    (small / "cache" / "index.lock").unlink()
    before = changes(small / "cache")
    run(small, QP_44)
    assert changes(small / "cache") == before


def changes(folder):
    return {path: path.stat().st_mtime_ns for path in (folder, *folder.rglob("*"))}


def test_an_index_holds_what_both_have_added(small):
    """Also what one adds after the other has written, and without what one of them dropped."""
    made = run(small, QP_44, MANY[0])
    fast, slow = made.index.clips
    gone, kept = fast.streams.values()
    new = kept.model_copy(update={"degradation": MANY[1]})
    newer = kept.model_copy(update={"degradation": MANY[2]})
    with SharedIndex(small / "cache") as first, SharedIndex(small / "cache") as second:
        first.put(fast, [gone])
        first.add(fast, new)
        second.add(fast, newer)
        second.put(slow.model_copy(update={"name": "renamed"}))
    found = {clip.name: clip for clip in Index.read(small / "cache").clips}
    assert set(found) == {"fast", "renamed"}
    assert set(found["fast"].streams) == {MANY[0].name, MANY[1].name, MANY[2].name}
    assert set(found["renamed"].streams) == {QP_44.name, MANY[0].name}


def test_files_are_locked_and_whole(tmp_path):
    """Drafts of one file have several names, and only those of that file are deleted."""
    path = tmp_path / "a.mkv"
    with (
        atomic_write(path) as one,
        atomic_write(path) as other,
        atomic_write(tmp_path / "b.mkv") as third,
    ):
        assert one != other
        for draft in (one, other, third):
            draft.touch()
        delete_drafts(path)
        assert (one.exists(), other.exists(), third.exists()) == (False, False, True)
        for draft in (one, other):
            draft.write_bytes(b"whole")
    assert path.read_bytes() == b"whole"
    with Presence(tmp_path / "lock") as first:
        with first.alone() as alone:
            assert alone
        with Presence(tmp_path / "lock"), first.alone() as alone:
            assert not alone
        with first.alone() as alone:
            assert alone


def test_a_lock_keeps_others_out(tmp_path):
    trying, inside = threading.Event(), threading.Event()

    def enter():
        trying.set()
        with locked(tmp_path / "lock"):
            inside.set()

    with locked(tmp_path / "lock"):
        thread = threading.Thread(target=enter)
        thread.start()
        assert trying.wait(10) and not inside.wait(0.3)
    thread.join(10)
    assert inside.is_set()
