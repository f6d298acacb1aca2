"""Stages of a run, each with a limit; results are written after each of them."""

import datetime
import importlib.util
import json
import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import NamedTuple

from facts import facts
from results_file import read_journal, write

ROOT = Path(__file__).parents[1]
DONE, RED, OVER, NO_TIME = "done", "failed", "ended by its limit", "no time was left"
LEFT_OUT = "left out"
MOST_BYTES = 15 << 20
"""Of a text file in the output folder; of longer ones the middle is cut out."""
_GRACE = 45
"""Seconds that the last case of a suite may take beyond the limit of the suite."""
_TELLING = re.compile(r" in [\d.]+s|^ *(?:error|ERROR|vqe_fast): ")
_COUNTED = re.compile(r" (PASSED|FAILED|SKIPPED|ERROR)\b")


class Running(NamedTuple):
    """A stage that has begun.

    Attributes:
        name: of the stage.
        process: that is its own.
        log: file of its output.
        begin: where that begins in the file.
        start: when the process started.
        end: when it must have ended.
        ended: holds when it did, from then on.
    """

    name: str
    process: subprocess.Popen
    log: Path
    begin: int
    start: float
    end: float
    ended: list[float]


class Stages:
    """Runs commands, and keeps what they leave.

    Args:
        scratch: folder for what is not kept.
        output: folder for the results file ``<machine>.json``, the log, and what stages add.
        device: that the suites measure.
        seconds: for all stages together; None for no limit.
        tiny: whether the suites only show that they work.
        journal: file that suites append their rows to; None for one in ``scratch``.
    """

    def __init__(self, scratch, output, *, device, seconds=None, tiny=False, journal=None):
        self.environment = dict(os.environ)
        self.scratch = scratch
        self.output = output
        self.device = device
        self.tiny = tiny
        self._journal = journal or scratch / "rows.jsonl"
        self._end = None if seconds is None else time.monotonic() + seconds
        self._stages = []
        self._benchmarks = []
        self._extra = {}
        output.mkdir(parents=True, exist_ok=True)
        self._log = output / "log.txt"
        self._log.write_bytes(b"")

    @property
    def results(self):
        """The content of the results file, as of now."""
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        rows = [row.to_dict() for row in read_journal(self._journal)]
        return {
            **facts(self.device),
            "datetime": now,
            "stages": self._stages,
            "rows": rows,
            **self._extra,
            "benchmarks": self._benchmarks,
        }

    @property
    def red(self):
        """Whether a stage failed."""
        return any(stage["outcome"] == RED for stage in self._stages)

    def write(self):
        """Writes the results file and returns its path."""
        results = self.results
        path = self.output / f"{results['machine']['slug']}.json"
        write(results, path)
        return path

    def record(self, name, seconds, outcome, said=""):
        """Adds a stage to the results, tells it, and writes them."""
        stage = {"name": name, "seconds": round(seconds, 1), "outcome": outcome, "said": said}
        self._stages.append(stage)
        print(f"{name}: {outcome} after {seconds:.0f} s{f' ({said})' if said else ''}", flush=True)
        for text in self.output.glob("*.txt"):
            shorten(text)
        return self.write()

    def run(self, name, command, limit, environment=None):
        """Runs a command as a stage; its output goes into the log.

        Args:
            name: of the stage.
            command: to run in the checkout.
            limit: seconds after which it is ended.
            environment: variables of this stage alone.

        Returns:
            Its output if it ended by itself with status 0, else nothing.
        """
        running = self._begin(name, command, limit, environment, self._log)
        return running and self._finish(running)

    def start(self, name, command, limit, environment=None):
        """As :meth:`run`, but others may run meanwhile; :meth:`finish` ends it.

        Returns:
            What ``finish`` takes.
        """
        return self._begin(name, command, limit, environment, self.scratch / f"{name}.txt")

    def finish(self, running):
        """Waits for a started stage, until its limit; returns what :meth:`run` does."""
        if running is None:
            return None
        said = self._finish(running)
        with self._log.open("ab") as log:
            log.write(running.log.read_bytes())
        shorten(self._log)
        return said

    def suites(self, name, suites, limit, *, without_av=False, options=(), grace=_GRACE):
        """Runs benchmark suites as a stage.

        Args:
            name: of the stage.
            suites: names of ``bench_<suite>.py``.
            limit: seconds after which no case is begun.
            without_av: whether to run as if PyAV were not installed.
            options: more of them, for ``pytest``.
            grace: seconds that the last case may take beyond the limit.
        """
        if self._end is not None:
            limit = min(limit, self._end - time.monotonic() - grace)
        found = self.scratch / f"{name}.json"
        command = NO_AV if without_av else PYTEST
        command = [*command, *(f"benchmarks/bench_{suite}.py" for suite in suites), *options]
        command += ["--bench-device", self.device, "--bench-seconds", f"{max(limit, 0):.0f}"]
        command += ["--bench-journal", str(self._journal)]
        command += ["--benchmark-json", str(found), "--benchmark-columns=median,iqr,rounds"]
        self.run(name, command + ["--bench-tiny"] * self.tiny, limit + grace)
        if found.exists() and (text := found.read_text("utf-8")):
            content = json.loads(text)
            self._add(content.pop("benchmarks"))
            self._extra = {key: content[key] for key in ("machine_info", "commit_info", "version")}
        self.write()

    def _add(self, benchmarks):
        """Those of a case that was measured again replace the earlier ones."""
        again = {one["fullname"] for one in benchmarks}
        kept = [one for one in self._benchmarks if one["fullname"] not in again]
        self._benchmarks = kept + benchmarks

    def _begin(self, name, command, limit, environment, log):
        start = time.monotonic()
        end = start + limit if self._end is None else min(start + limit, self._end)
        if end - start < 1:
            self.record(name, 0, NO_TIME)
            return None
        with log.open("ab") as file:
            file.write(f"\n== {name}: {' '.join(map(str, command))}\n".encode())
            file.flush()
            begin = file.tell()
            try:
                process = subprocess.Popen(
                    command,
                    cwd=ROOT,
                    env=self.environment | (environment or {}),
                    stdin=subprocess.DEVNULL,
                    stdout=file,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            except OSError as error:
                self.record(name, 0, RED, str(error))
                return None
        ended = []
        threading.Thread(target=_watch, args=(process, ended), daemon=True).start()
        return Running(name, process, log, begin, start, end, ended)

    def _finish(self, running):
        try:
            status = running.process.wait(max(running.end - time.monotonic(), 0))
        except subprocess.TimeoutExpired:
            os.killpg(running.process.pid, 9)
            running.process.wait()
            status = None
        said = running.log.read_bytes()[running.begin :].decode("utf-8", "replace")
        outcome = OVER if status is None else RED if status else DONE
        ended = running.ended[0] if running.ended else time.monotonic()
        self.record(running.name, ended - running.start, outcome, _summary(said, status))
        return said if status == 0 else None


def _watch(process, ended):
    process.wait()
    ended.append(time.monotonic())


def shorten(path, most=MOST_BYTES):
    """Cuts the middle out of a text file that is longer than it may be."""
    size = path.stat().st_size
    if size <= most:
        return
    note = f"\n\n… {size - most} bytes and more are left out here …\n\n".encode()
    half = (most - len(note)) // 2
    with path.open("r+b") as file:
        head = file.read(half)
        file.seek(size - half)
        tail = file.read()
        file.seek(0)
        file.write(head + note + tail)
        file.truncate()


def _summary(said, status):
    """The last line of pytest, or of an error; what can be counted of tests that were ended."""
    if status is None:
        counted = {}
        for word in _COUNTED.findall(said):
            counted[word] = counted.get(word, 0) + 1
        return ", ".join(f"{count} {word.lower()}" for word, count in counted.items())
    lines = [line.strip("= ") for line in said.splitlines() if _TELLING.search(line)]
    return lines[-1] if lines else ""


PYTEST = [sys.executable, "-P", "-m", "pytest", "-p", "no:cacheprovider"]
"""As a command; ``-P`` keeps the checkout from hiding what is installed."""

_BLOCKED = "import sys, pytest; sys.modules['av'] = None; sys.exit(pytest.main(sys.argv[1:]))"
NO_AV = [sys.executable, "-P", "-c", _BLOCKED, "-p", "no:cacheprovider"]
"""The same where PyAV cannot be imported."""


def parallel(count):
    """Options for as many tests at the same time, where pytest-xdist is there."""
    return ["-n", str(count)] if importlib.util.find_spec("xdist") and count > 1 else []
