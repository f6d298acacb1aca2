"""Stages of a run, each with a limit; results are written after each of them."""

import datetime
import importlib.util
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

from facts import facts
from results_file import read_journal, write

ROOT = Path(__file__).parents[1]
DONE, RED, OVER, NO_TIME = "done", "failed", "ended by its limit", "no time was left"
_GRACE = 45
"""Seconds that the last case of a suite may take beyond the limit of the suite."""
_TELLING = re.compile(r" in [\d.]+s|^ *(?:error|ERROR|vqe_fast): ")
_COUNTED = re.compile(r" (PASSED|FAILED|SKIPPED|ERROR)\b")


class Stages:
    """Runs commands one after the other, and keeps what they leave.

    Args:
        scratch: folder for what is not kept.
        output: folder for the results file ``<machine>.json`` and the log.
        device: that the suites measure.
        seconds: for all stages together; None for no limit.
        tiny: whether the suites only show that they work.
    """

    def __init__(self, scratch, output, *, device, seconds=None, tiny=False):
        self.environment = dict(os.environ)
        self._scratch = scratch
        self._output = output
        self._device = device
        self._tiny = tiny
        self._end = None if seconds is None else time.monotonic() + seconds
        self._stages = []
        self._benchmarks = []
        self._extra = {}
        output.mkdir(parents=True, exist_ok=True)
        self.log = (output / "log.txt").open("wb")

    @property
    def results(self):
        """The content of the results file, as of now."""
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        rows = [row.to_dict() for row in read_journal(self._scratch / "rows.jsonl")]
        return {
            **facts(self._device),
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
        path = self._output / f"{results['machine']['slug']}.json"
        write(results, path)
        return path

    def record(self, name, seconds, outcome, said=""):
        """Adds a stage to the results, tells it, and writes them."""
        stage = {"name": name, "seconds": round(seconds, 1), "outcome": outcome, "said": said}
        self._stages.append(stage)
        print(f"{name}: {outcome} after {seconds:.0f} s{f' ({said})' if said else ''}", flush=True)
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
        start = time.monotonic()
        left = limit if self._end is None else min(limit, self._end - start)
        if left < 1:
            self.record(name, 0, NO_TIME)
            return None
        self.log.write(f"\n== {name}: {' '.join(map(str, command))}\n".encode())
        self.log.flush()
        begin = self.log.tell()
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=self.environment | (environment or {}),
            stdin=subprocess.DEVNULL,
            stdout=self.log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            status = process.wait(left)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)
            process.wait()
            status = None
        self.log.seek(0, os.SEEK_END)
        said = Path(self.log.name).read_bytes()[begin:].decode("utf-8", "replace")
        outcome = OVER if status is None else RED if status else DONE
        self.record(name, time.monotonic() - start, outcome, _summary(said, status))
        return said if status == 0 else None

    def suites(self, name, suites, limit, *, without_av=False):
        """Runs benchmark suites as a stage, on request as if PyAV were not installed."""
        if self._end is not None:
            limit = min(limit, self._end - time.monotonic() - _GRACE)
        found = self._scratch / f"{name}.json"
        command = NO_AV if without_av else PYTEST
        command = [*command, *(f"benchmarks/bench_{suite}.py" for suite in suites)]
        command += ["--bench-device", self._device, "--bench-seconds", f"{max(limit, 0):.0f}"]
        command += ["--bench-journal", str(self._scratch / "rows.jsonl")]
        command += ["--benchmark-json", str(found), "--benchmark-columns=median,iqr,rounds"]
        self.run(name, command + ["--bench-tiny"] * self._tiny, limit + _GRACE)
        if found.exists() and (text := found.read_text("utf-8")):
            content = json.loads(text)
            self._benchmarks += content.pop("benchmarks")
            self._extra = {key: content[key] for key in ("machine_info", "commit_info", "version")}
        self.write()


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
