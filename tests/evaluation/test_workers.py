"""Workers that measure: the rows of one process, whatever becomes of one of them."""

import pickle
import re
import shutil
import sys
import tempfile
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from support.evaluations import Brighter, Marked
from support.modules import Pointwise
from support.processes import PATIENCE
from support.ray_clusters import ray_cluster
from support.small_models import SMALL, randomised
from vqe_fast.cli.app import app
from vqe_fast.evaluation import to_markdown, write_results
from vqe_fast.evaluation.journal import JOURNAL_NAME
from vqe_fast.evaluation.restorer import Tuned
from vqe_fast.evaluation.worker_setup import MeasureSetup, WorkplacePlan
from vqe_fast.training.checkpoint import save_weights
from vqe_fast.video.errors import WorkerError


@pytest.fixture
def marked(tmp_path):
    def marked(deaths):
        folder = tmp_path / "marks"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        return Marked(1, folder, deaths)

    return marked


def without_speed(row):
    return {**row.to_dict(), "fps": None, "workers": None}


def test_the_same_as_one_process(run, tmp_path):
    models = {"net": "identity", "tuned": Tuned([Brighter(4), Brighter(1)]), "ours": Brighter(2)}
    one, told = run(models, output=tmp_path / "one"), []
    two = run(
        models, output=tmp_path / "two", processes=2, progress=lambda *each: told.append(each)
    )
    assert list(map(without_speed, one.rows)) == list(map(without_speed, two.rows))
    assert told == [(n, 24) for n in range(1, 25)]
    for found, name in ((one, "one"), (two, "two")):
        write_results(found, tmp_path / name)
    frames = [(tmp_path / name / "frames.csv").read_bytes() for name in ("one", "two")]
    assert frames[0] == frames[1]
    speeds = re.compile(r"\| [\d.]+ \|$|^> speeds.*\n\n|^- .*thread.*$|^- vqe_fast.*$", re.M)
    texts = [speeds.sub("", to_markdown(found)) for found in (one, two)]
    assert texts[0] == texts[1]
    assert one.notes == []
    assert two.notes == ["speeds compare with no others: up to 2 workers measured at the same time"]


def test_workers_that_die(run, marked):
    """A row is done again by another; one that kills two has the error, the others go on."""
    model = marked({"a x264 QP 40": 1, "b x264 QP 30": 2})
    found = run({"ours": model}, processes=2)
    (failed,) = found.failed
    assert (failed.clip, failed.setting, failed.restorer) == ("b", "x264 QP 30", "ours")
    assert re.fullmatch(r"the worker .* was killed by signal 9, as one had before it", failed.error)
    assert [row.restorer for row in found.rows] == ["none", "ours"] * 4
    first = ["a x264 QP 30 0", "a x264 QP 40 0", "a x264 QP 40 1"]
    last = ["b x264 QP 30 0", "b x264 QP 30 1", "b x264 QP 40 0"]
    assert model.marks == [*first, *last]
    assert found.facts["workers_lost"] == 3
    assert "workers that died, whose rows others began anew: 3" in to_markdown(found)
    assert not run({"ours": model}).failed
    assert model.marks == [*first, *last[:2], "b x264 QP 30 2", last[2]], "the rest was known"


def test_what_cannot_be_sent(run, tmp_path):
    sentence = r"cannot be sent to workers \(.*lambda.*\): give names and files, or measure in one"
    with pytest.raises(ValueError, match=sentence):
        run({"ours": Pointwise(lambda luma: luma)}, processes=2)
    assert not (tmp_path / "out").exists()


def test_clips_that_a_worker_does_not_see(run, tmp_path):
    cache = tmp_path / "here"
    with pytest.raises(WorkerError, match=r"the worker \S+:\d+ cannot measure: it does not see .*"):
        run(["identity"], cache=cache, progress=lambda *_: shutil.rmtree(cache / "streams"))


@pytest.mark.parametrize("is_seen", [True, False])
def test_room_for_frames(tmp_path, is_seen):
    """In the output folder, or where temporary files go on a node that does not see it."""
    folder = tmp_path if is_seen else tmp_path / "elsewhere"
    plan = WorkplacePlan(
        models=["identity"],
        precision="auto",
        model_options=None,
        metrics=(),
        detector=None,
        chroma="decoded",
        conversion="stream",
        folder=folder,
    )
    setup = pickle.loads(pickle.dumps(MeasureSetup(plan, plan.make("cpu", 1), 1)))
    room = folder if is_seen else Path(tempfile.gettempdir())
    assert setup.make("cpu").measures.folder == room


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"processes": 0}, "at least 1 worker, got 0"),
        ({"cluster": "local", "device": "cpu"}, "leave the device out, and say --worker-gpus 0"),
        ({"worker_cpus": 2}, "by --cluster, or leave --worker-cpus and --worker-gpus out"),
    ],
)
def test_refusals(run, options, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        run(**options)
    assert not (tmp_path / "out").exists()


def test_command(clips, tmp_path, monkeypatch):
    def refusing(*_, **options):
        raise ValueError(str([value for name, value in options.items() if name in wanted]))

    wanted = ("processes", "cluster", "worker_cpus", "worker_gpus")
    monkeypatch.setattr("vqe_fast.evaluation.evaluate", refusing)
    command = ["evaluate", clips, "--output", tmp_path, "--qp", "40", "--workers", "2"]
    command += ["--cluster", "auto", "--worker-cpus", "3", "--worker-gpus", "0.5"]
    result = CliRunner().invoke(app, [str(part) for part in command])
    assert (result.exit_code, result.stderr) == (2, "vqe-fast: [2, 'auto', 3, 0.5]\n")


def test_cluster(run, tmp_path, monkeypatch):
    """The rows of one process, by actors on the nodes, which see weights where the driver does."""
    monkeypatch.chdir(tmp_path)
    weights = tmp_path / "ours.safetensors"
    save_weights(randomised("carcnn_small"), weights, "carcnn_small", SMALL["carcnn_small"])
    models = {"net": "carcnn_small:ours.safetensors", "ours": Brighter(2)}
    one = run(models, output=tmp_path / "one")
    with ray_cluster(client_port=None) as cluster:
        address = cluster.address
        two = run(models, output=tmp_path / "two", cluster=address, device="auto", worker_gpus=0)
    assert list(map(without_speed, one.rows)) == list(map(without_speed, two.rows))


def test_interrupted(run, tmp_path):
    """Workers end, and so do the programs that they run; what was measured stays."""
    script = tmp_path / "program.py"
    script.write_text(
        "import os, pathlib, time\n"
        f"pathlib.Path({str(tmp_path)!r}, f'{{os.getpid()}}.pid').touch()\n"
        "time.sleep(600)\n"
    )
    model = f"cmd:{sys.executable} {script} {{input}} {{output}}"

    def progress(done, total):
        deadline = time.monotonic() + PATIENCE
        while not list(tmp_path.glob("*.pid")):
            assert time.monotonic() < deadline
            time.sleep(0.005)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run({"slow": model}, processes=2, progress=progress)
    programs = [Path("/proc", path.stem) for path in tmp_path.glob("*.pid")]
    assert programs and not any(path.exists() for path in programs)
    assert (tmp_path / "out" / JOURNAL_NAME).read_text().count("\n") == 1
