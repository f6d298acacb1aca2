"""Waiting for other processes, on machines that may have much else to do."""

import signal
import time

import pytest

PATIENCE = 300  # seconds; a disk that others write to can take tens of them for one fsync


def wait_for(condition, process):
    """Waits until the condition holds; where a process hangs, its stacks are the error."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if process.poll() is not None:
            pytest.fail(f"ended with {process.returncode}: {process.communicate()}")
        if time.monotonic() > deadline:
            process.send_signal(signal.SIGABRT)
        time.sleep(0.005)
