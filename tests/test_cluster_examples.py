"""``docs/cluster.md`` and the files beside it: what they call is there and does what they say."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from support.media import write_clip
from vqe_fast.cli.app import app

DOCS = Path(__file__).parents[1] / "docs"
EXAMPLES = DOCS / "cluster"
FOLDER = "vqe-fast enhance /archive/in /archive/out"
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*")
OF_OTHERS = {"--address", "--array", "--generate", "--gpus-per-node", "--head", "--nnodes"}
OF_OTHERS |= {"--nodes", "--nproc-per-node", "--ntasks-per-node", "--port", "--trials"}
OF_OTHERS |= {"--rdzv-backend", "--rdzv-endpoint", "--rdzv-id", "--collector"}
"""Options of Ray, Slurm, torchrun and a benchmark."""
QUICK = ["--model", "identity", "--preset", "ultrafast", "--quiet"]


def options_of(command):
    found = typer.main.get_command(app).commands[command]
    return {name for parameter in found.params for name in parameter.opts}


def loaded(name):
    yaml = pytest.importorskip("yaml", reason="yaml is not installed: pip install pyyaml")
    return yaml.safe_load((EXAMPLES / name).read_text("utf-8"))


@pytest.fixture
def archive(tmp_path):
    """Two videos."""
    (tmp_path / "in").mkdir()
    for name in ("a", "b"):
        write_clip(tmp_path / "in" / f"{name}.mkv", frames=3, size=(32, 32))
    return tmp_path


@pytest.fixture
def stand_ins(tmp_path):
    """Environment in which commands of Slurm and Ray are scripts that note how they were called."""
    folder = tmp_path / "bin"
    folder.mkdir()
    note = f'printf "%s\\n" "${{0##*/}} $*" >>{tmp_path}/calls\n'

    def add(name, text):
        (folder / name).write_text(f"#!/bin/bash\n{text}")
        (folder / name).chmod(0o755)

    add("srun", note + 'while [[ $1 == --* ]]; do shift; done\nexec "$@"\n')
    add("scontrol", note + "printf '127.0.0.1\\nnode2\\nnode3\\n'\n")
    listen = "import socket, sys; socket.create_server(('127.0.0.1', int(sys.argv[1]))).accept()"
    is_head = 'if [[ "$*" =~ --port=([0-9]+) ]]; then'
    head = f'exec {sys.executable} -c "{listen}" "${{BASH_REMATCH[1]}}"'
    add("ray", f"{note}{is_head} {head}; fi\nexec sleep 60\n")
    command = "from vqe_fast.cli.app import main; main()"
    add("vqe-fast", note + f'exec {sys.executable} -P -c "{command}" "$@"\n')
    return os.environ | {"PATH": f"{folder}:{os.environ['PATH']}"}


def calls(folder):
    return sorted((folder / "calls").read_text().splitlines())


def test_options_are_there():
    """Those of each command of the tool that is shown, and those that the page tells of."""
    page = (DOCS / "cluster.md").read_text("utf-8")
    files = [file.read_text("utf-8") for file in EXAMPLES.iterdir()]
    shown = re.findall(
        r"vqe-fast\)? (enhance|evaluate|train)\b((?:\\\n|[^`\n])*)", "\n".join([page, *files])
    )
    assert {"enhance", "train"} <= {command for command, _ in shown}
    for command, words in shown:
        assert set(OPTION.findall(words)) <= options_of(command) | OF_OTHERS, command
    known = set().union(*map(options_of, ("enhance", "evaluate", "train")))
    assert set(OPTION.findall(page)) - known <= OF_OTHERS


def test_the_page_names_each_file():
    page = (DOCS / "cluster.md").read_text("utf-8")
    assert {f"cluster/{file.name}" for file in EXAMPLES.iterdir()} <= set(
        re.findall(r"\((cluster/[^)]+)\)", page)
    )


@pytest.mark.parametrize("place", ["here", "cloud"])
def test_ray_cluster(place):
    """Ray's own check of the file, and of the part for clouds, which is a comment."""
    pytest.importorskip("ray", reason="ray is not installed: pip install 'vqe_fast[cluster]'")
    pytest.importorskip("jsonschema", reason="jsonschema, by which Ray checks, is not installed")
    import yaml
    from ray.autoscaler._private.util import fillout_defaults, prepare_config, validate_config

    config = loaded("ray-cluster.yaml")
    if place == "cloud":
        text = (EXAMPLES / "ray-cluster.yaml").read_text("utf-8")
        cloud = re.sub("^# ?", "", text[text.index("# provider:") :], flags=re.M)
        config |= yaml.safe_load(cloud) | {"auth": {"ssh_user": "vqe"}}
        del config["min_workers"]
        validate_config(fillout_defaults(config))
    else:
        validate_config(prepare_config(config))
        assert len(config["provider"]["worker_ips"]) == config["max_workers"]


def test_kuberay_job():
    spec = loaded("kuberay-job.yaml")["spec"]
    assert spec["entrypoint"].startswith(FOLDER + " --cluster auto --resume")
    cluster = spec["rayClusterSpec"]
    (nodes,) = cluster["workerGroupSpecs"]
    taken = nodes["template"]["spec"]["containers"][0]["resources"]["limits"]
    asked = dict(re.findall("--(worker[a-z-]*) ([0-9]+)", spec["entrypoint"]))
    assert asked == {
        "workers": str(nodes["replicas"]),
        "worker-cpus": taken["cpu"],
        "worker-gpus": taken["nvidia.com/gpu"],
    }
    assert cluster["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"
    for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
        pod = group["template"]["spec"]
        mounted = [mount["name"] for mount in pod["containers"][0]["volumeMounts"]]
        assert mounted == [volume["name"] for volume in pod["volumes"]]


def test_indexed_job(archive, stand_ins):
    """Its command, run for the second of its pods; then all pods together have every file."""
    spec = loaded("kubernetes-indexed-job.yaml")["spec"]
    container = spec["template"]["spec"]["containers"][0]
    environment = {each["name"]: each["value"] for each in container["env"]}
    assert environment["SHARDS"] == str(spec["completions"])
    assert environment["OMP_NUM_THREADS"] == container["resources"]["limits"]["cpu"]
    assert container["args"][0].startswith(f"exec {FOLDER} ")
    command = container["args"][0].replace("/archive", str(archive)) + " " + " ".join(QUICK)
    done = subprocess.run(
        [*container["command"], command],
        env=stand_ins | environment | {"JOB_COMPLETION_INDEX": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "--shard 2/8 --resume" in calls(archive)[0]
    assert [path.name for path in (archive / "out").iterdir()] == ["b.mkv"]
    assert [json.loads(line)["event"] for line in done.stderr.splitlines()]


def test_slurm_array(archive, stand_ins):
    """Its second task; the number of tasks stands twice in it."""
    script = EXAMPLES / "slurm-array.sh"
    text = script.read_text("utf-8")
    assert re.search(r"--array=1-(\d+)", text)[1] == re.search(r"^shards=(\d+)", text, re.M)[1]
    slurm = {"SLURM_ARRAY_TASK_ID": "2", "SLURM_CPUS_PER_TASK": "1"}
    done = subprocess.run(
        ["bash", script, archive / "in", archive / "out", *QUICK],
        env=stand_ins | slurm,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert [path.name for path in (archive / "out").iterdir()] == ["b.mkv"]


def test_slurm_ray(tmp_path, stand_ins):
    """A head, the other nodes, and the tool, whose exit code is the script's, and ends both."""
    (tmp_path / "bin" / "vqe-fast").write_text(
        f'#!/bin/bash\nprintf "%s\\n" "vqe-fast $*" >>{tmp_path}/calls\n'
        f"until grep -q '^ray.*--address' {tmp_path}/calls; do sleep 0.05; done\nexit 3\n"
    )
    slurm = {"SLURM_JOB_ID": "41234", "SLURM_JOB_NODELIST": "x", "SLURM_CPUS_PER_TASK": "5"}
    done = subprocess.run(
        ["bash", EXAMPLES / "slurm-ray.sh", "in", "out", "--codec", "ffv1"],
        env=stand_ins | slurm,
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.returncode == 3, done.stderr
    told = calls(tmp_path)
    assert "vqe-fast enhance in out --cluster 127.0.0.1:21234 --resume --codec ffv1" in told
    assert any(line.startswith("ray start --head --port=21234 ") for line in told)
    assert "ray start --address=127.0.0.1:21234 --num-cpus=5 --block" in told
    others = next(line for line in told if line.startswith("srun") and "--exclude" in line)
    assert "--nodes=2 --ntasks=2 --exclude=127.0.0.1" in others


@pytest.mark.parametrize("name", ["slurm-array.sh", "slurm-ray.sh"])
def test_slurm_without_folders(name, stand_ins):
    done = subprocess.run(["bash", EXAMPLES / name, "in"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("usage: sbatch")


def test_dockerfile():
    """What it copies is there, and each image that it begins with is one, or a stage of it."""
    text = (EXAMPLES / "Dockerfile").read_text("utf-8")
    for line in re.findall(r"^COPY (?!--from)(.*)$", text, re.M):
        assert all((DOCS.parent / name).exists() for name in line.split()[:-1])
    stages = re.findall(r"^FROM (\S+)(?: AS (\S+))?$", text, re.M)
    names = {name for _, name in stages}
    for device in ("cpu", "cuda"):
        used = [image.replace("${DEVICE}", device) for image, _ in stages]
        assert {f"build-{device}", f"run-{device}"} <= names & set(used)
