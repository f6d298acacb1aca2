"""A pytest plugin that keeps the names of tests that fail, and runs those of an earlier run again.

Run: ``PYTHONPATH=benchmarks pytest -p again --failed-to FILE …``, later ``--again FILE``. Names are
appended as tests fail: of a run that is ended, those that failed before are there.
"""

from pathlib import Path


def pytest_addoption(parser):
    group = parser.getgroup("vqe_fast again")
    group.addoption("--failed-to", type=Path, help="file to append the names of failed tests to")
    group.addoption("--again", type=Path, help="file of names: only these tests run")


def pytest_configure(config):
    # Of processes that run tests side by side, the one that collects their reports keeps them.
    if config.option.failed_to and not hasattr(config, "workerinput"):
        config.pluginmanager.register(_Failed(config.option.failed_to))


def pytest_collection_modifyitems(config, items):
    if config.option.again is None:
        return
    wanted = set(names(config.option.again))
    left_out = [item for item in items if item.nodeid not in wanted]
    items[:] = [item for item in items if item.nodeid in wanted]
    config.hook.pytest_deselected(items=left_out)


def names(file):
    """Of the tests in a file, each once."""
    return list(dict.fromkeys(file.read_text("utf-8").splitlines()))


def files_of(file):
    """The test files that these tests are in."""
    return list(dict.fromkeys(name.partition("::")[0] for name in names(file)))


class _Failed:
    """Appends names to a file."""

    def __init__(self, file):
        self._file = file
        self._known = set()

    def pytest_runtest_logreport(self, report):
        if report.failed and report.nodeid not in self._known:
            self._known.add(report.nodeid)
            with self._file.open("a", encoding="utf-8") as file:
                file.write(report.nodeid + "\n")
