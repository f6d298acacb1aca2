"""Leases: one holder at a time, until it ends or renews no more."""

import json
import subprocess
import sys
import threading

import pytest

from vqe_fast.storage.errors import StorageError
from vqe_fast.storage.lease import LOCK, Holder, LeaseHeld, lease
from vqe_fast.storage.location import location


def holder_of(folder):
    """Who has the lease; None if nobody does."""
    file = folder / LOCK
    return Holder(**json.loads(file.read_text())) if file.exists() else None


@pytest.fixture(params=["memory", "s3", "sftp"])
def folder(request):
    return location(request.getfixturevalue(request.param)) / "a.mp4.parts"


def change(folder, **fields):
    file = folder / LOCK
    file.write_text(json.dumps(json.loads(file.read_text()) | fields))


def test_one_holder_at_a_time(folder):
    with lease(folder) as mine:
        assert holder_of(folder) == mine.holder
        mine.check()
        said = r"process \d+ on .* is working in .*a\.mp4\.parts; wait"
        with pytest.raises(LeaseHeld, match=said) as caught, lease(folder):
            raise AssertionError
        assert caught.value.holder == mine.holder
    assert holder_of(folder) is None
    with lease(folder):
        pass
    assert not list(folder.parent.walk_files())


def test_of_many_at_once_one_gets_it(folder):
    folder.parent.mkdir(parents=True, exist_ok=True)
    start, tried, got = threading.Barrier(4), threading.Barrier(4), []

    def try_it():
        start.wait()
        try:
            with lease(folder):
                got.append(True)
                tried.wait(20)
        except LeaseHeld:
            got.append(False)
            tried.wait(20)

    threads = [threading.Thread(target=try_it) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert sorted(got) == [False, False, False, True]


def test_a_holder_that_does_not_renew_loses_it(folder):
    with lease(folder, seconds=0.6) as mine:
        change(folder, renewed=0, host="elsewhere", token="other")
        assert mine._thread.join(5) is None and not mine._thread.is_alive()
        with pytest.raises(StorageError, match="has taken over"):
            mine.check()
        with lease(folder) as other:
            assert holder_of(folder) == other.holder
    assert not list(folder.parent.walk_files())


def test_it_is_renewed(folder):
    with lease(folder, seconds=0.3) as mine:
        first = mine.holder.renewed
        for _ in range(200):
            if mine.holder.renewed > first:
                break
            threading.Event().wait(0.02)
        assert holder_of(folder).renewed > first
        mine.check()


def test_a_process_of_this_machine_that_has_ended_leaves_it(folder):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    with lease(folder):
        with pytest.raises(LeaseHeld), lease(folder):
            raise AssertionError
        change(folder, process=ended.pid)
        with lease(folder):
            pass
