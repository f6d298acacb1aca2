"""``results/<machine>.json``: pytest-benchmark's JSON, and every row in one schema.

Beside what pytest-benchmark writes (``benchmarks``, ``machine_info``, ``commit_info``,
``datetime``, ``version``), a file has ``machine``, ``versions``, ``commit``, ``rows`` (what was not
measured included) and ``stages``: what was run, how long it took, what came of it.
"""

import json
import os
from pathlib import Path

from vqe_fast.bench.record import Row

RESULTS = Path(__file__).parent / "results"
PARTS = {
    "machine": dict,
    "versions": dict,
    "commit": str,
    "datetime": str,
    "rows": list,
    "stages": list,
    "benchmarks": list,
}
MACHINE = {"slug", "name", "device", "threads", "system"}
STAGE = {"name", "seconds", "outcome", "said"}


def read_journal(path):
    """The rows in a file of one line of JSON each; the last of those with the same key."""
    if not path.exists():
        return []
    rows = [Row.from_dict(json.loads(line)) for line in path.read_text("utf-8").splitlines()]
    return list({row.key: row for row in rows}.values())


def validate(results):
    """Makes sure that the content of a file is what the page needs.

    Raises:
        ValueError: it is not; the sentence says what is wrong.
    """
    for part, kind in PARTS.items():
        if not isinstance(results.get(part), kind):
            raise ValueError(f"the results have no {part}, or not as a {kind.__name__}")
    if missing := MACHINE - results["machine"].keys():
        raise ValueError(f"the machine of the results has no {', '.join(sorted(missing))}")
    for stage in results["stages"]:
        if stage.keys() != STAGE:
            raise ValueError(f"a stage has {', '.join(sorted(STAGE))}; got {sorted(stage)}")
    rows = [Row.from_dict(row) for row in results["rows"]]
    if len({row.key for row in rows}) != len(rows):
        raise ValueError("the results have two rows of the same key")
    known = {row.key for row in rows}
    for one in results["benchmarks"]:
        if Row.from_dict(one["extra_info"]).key not in known:
            raise ValueError(f"the benchmark {one['name']} has no row")


def write(results, path):
    """Writes checked results, in one step."""
    validate(results)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.part")
    draft.write_text(json.dumps(results, indent=1) + "\n", "utf-8")
    os.replace(draft, path)


def read(path):
    """The content of a file, checked.

    Raises:
        ValueError: it is none of ours.
    """
    try:
        results = json.loads(path.read_text("utf-8"))
        validate(results)
    except (ValueError, KeyError) as error:
        raise ValueError(f"{path} is not a results file of this version: {error}") from error
    return results


def rows_of(results):
    """The rows of a file's content."""
    return [Row.from_dict(row) for row in results["rows"]]
