"""Options of the suites, their cases as parameters, and what is added to pytest-benchmark's JSON.

Run: ``pytest benchmarks/bench_ssim.py``; compare medians within one group. ``make bench`` runs all
and writes the results and the page.
"""

from pathlib import Path

import pytest
import torch
from facts import facts
from harness import Session, replayed, report


def pytest_addoption(parser):
    group = parser.getgroup("vqe_fast benchmarks")
    group.addoption("--bench-device", default="cpu", choices=("cpu", "cuda"), help="cpu or cuda")
    group.addoption(
        "--bench-seconds", type=float, help="after these no further case is begun; none by default"
    )
    group.addoption("--bench-tiny", action="store_true", help="tiny shapes, one call of each")
    group.addoption("--bench-own", action="store_true", help="this package without alternatives")
    group.addoption(
        "--bench-only", action="append", default=[], metavar="NAME", help="only what is called so"
    )
    group.addoption("--bench-journal", type=Path, help="file to append every row to")


def pytest_generate_tests(metafunc):
    """Each case of the suite's plan with each of its implementations."""
    if "case" not in metafunc.fixturenames:
        return
    options = metafunc.config.option
    cases = metafunc.module.plan(options.bench_device, options.bench_tiny)
    # Tiny cases that differ only in their names, or their budget, are one: the first, the longest.
    unique = {case.title: case for case in reversed(cases)}
    only = options.bench_only
    pairs = [
        (case, name)
        for case in reversed(unique.values())
        for name in case.names
        if not only or name in only
    ]
    metafunc.parametrize(("case", "name"), pairs, ids=[f"{c}-{n}" for c, n in pairs])


@pytest.fixture(scope="session")
def session(request):
    options = request.config.option
    if options.bench_device == "cuda" and not torch.cuda.is_available():
        pytest.exit("there is no GPU that PyTorch can use; leave out --bench-device cuda", 2)
    return Session(
        options.bench_journal,
        options.bench_seconds,
        options.bench_tiny,
        options.bench_own,
        options.bench_only,
    )


@pytest.fixture(name="report")
def _report(request, session, benchmark):
    def with_name(case, name):
        report(session, benchmark, case, name, request.module.__name__)

    return with_name


def pytest_collection_modifyitems(items):
    for item in items:
        item.add_marker(replayed)


def pytest_benchmark_update_json(config, benchmarks, output_json):
    """What the schema of results needs beside pytest-benchmark's own facts."""
    output_json |= facts(config.option.bench_device)
    for one in output_json["benchmarks"]:
        one["stats"].pop("data", None)
        for unneeded in ("options", "param", "params"):
            del one[unneeded]
