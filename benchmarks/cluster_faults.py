"""Faults on a cluster: nodes, workers and drivers killed while four files are enhanced.

``python benchmarks/cluster_faults.py --trials 20`` starts a Ray cluster of three nodes on this
machine, enhances four videos of more than 40 segments with the model ``identity``, and in each
trial kills, with ``SIGKILL``, a node, a worker in the middle of a write, or the driver, which is
started again with the same command. Outputs have to be those of one process, byte by byte, with
nothing left beside them. It ends with 1 if they are not. Needs the extra ``cluster``.
"""

import argparse
import hashlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import ray
from long_run import COMMAND, make_source
from ray.cluster_utils import Cluster

MINUTES = (1.0, 0.85, 0.9, 0.75)
FAULTS = ("node", "worker", "driver")
WORKER = "ray::RayWorker"
PATIENCE = 300.0
OPTIONS = ("--model", "identity", "--codec", "ffv1", "--segment-seconds", "5", "--quiet")


def start(sources: Path, target: Path, *options: str) -> subprocess.Popen[bytes]:
    """Starts the tool on a folder."""
    words = ["enhance", str(sources), str(target), *OPTIONS, *options]
    return subprocess.Popen([sys.executable, "-P", "-c", COMMAND, *words])


def checksums(folder: Path) -> dict[str, str]:
    """Name → hash of the files in a folder; of another folder in it, that it is one."""
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "a folder"
        for path in sorted(folder.iterdir())
    }


def workers() -> list[int]:
    """Processes of workers."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdecimal() and (entry / "cmdline").read_text().startswith(WORKER):
                found.append(int(entry.name))
        except OSError:  # it has ended meanwhile
            continue
    return found


def wait_for(what, process: subprocess.Popen[bytes]) -> bool:
    """Waits until something is so; False if the process ends before."""
    end = time.monotonic() + PATIENCE
    while not what():
        if process.poll() is not None:
            return False
        if time.monotonic() > end:
            sys.exit("nothing happens")
        time.sleep(0.01)
    return True


class Trial:
    """One run of the tool with one fault."""

    def __init__(self, cluster: Cluster, nodes: list, chance: random.Random) -> None:
        self.cluster, self.nodes, self.chance = cluster, nodes, chance

    def run(self, fault: str, sources: Path, target: Path) -> int:
        """Enhances the folder; returns how many segments were finished when the fault came."""
        options = ("--cluster", self.cluster.address, "--worker-cpus", "1", "--resume")
        process = start(sources, target, *options)
        until = self.chance.randint(3, 35)
        wait_for(lambda: finished(target) >= until or written(target), process)
        there = finished(target)
        if fault == "worker":
            wait_for(lambda: any(target.glob("*.parts/segment-*.draft")), process)
            if alive := workers():
                os.kill(self.chance.choice(alive), signal.SIGKILL)
        elif fault == "node":
            self.replace(self.chance.randrange(len(self.nodes)))
        else:
            process.kill()
            process.wait()
            process = start(sources, target, *options)
        if process.wait(PATIENCE):
            sys.exit(f"after the fault {fault} the tool ended with {process.returncode}")
        return there

    def replace(self, number: int) -> None:
        """Kills a node, and adds another one for the next trial."""
        node = self.nodes[number]
        os.kill(node.all_processes["raylet"][0].process.pid, signal.SIGKILL)
        self.cluster.remove_node(node, allow_graceful=False)
        self.nodes[number] = self.cluster.add_node(num_cpus=1)


def finished(target: Path) -> int:
    """Segments whose parts are there."""
    return len(list(target.glob("*.parts/segment-*.json")))


def written(target: Path) -> int:
    """Videos that are complete."""
    return len(list(target.glob("[!.]*.mkv"))) if target.exists() else 0


def main() -> None:
    """Makes the videos, and runs all trials."""
    parser = argparse.ArgumentParser(description="Nodes, workers and drivers killed at random.")
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    chance = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory() as folder:
        sources, one = Path(folder) / "in", Path(folder) / "one"
        sources.mkdir()
        for number, minutes in enumerate(MINUTES):
            make_source(sources / f"{number}.mkv", minutes)
        if start(sources, one).wait(PATIENCE):
            sys.exit("one process does not do it")
        wanted = checksums(one)
        cluster = Cluster(
            initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False}
        )
        good = 0
        try:
            nodes = [cluster.add_node(num_cpus=1) for _ in range(3)]
            trial = Trial(cluster, nodes, chance)
            for number in range(arguments.trials):
                fault, target = FAULTS[number % len(FAULTS)], Path(folder) / f"out{number}"
                began = time.perf_counter()
                there = trial.run(fault, sources, target)
                same = checksums(target) == wanted
                good += same
                print(
                    f"{number + 1:2} {fault:7} with {there:2} segments finished: "
                    f"{'the same files' if same else f'OTHER FILES: {checksums(target)}'}, "
                    f"{time.perf_counter() - began:.0f} s",
                    flush=True,
                )
            time.sleep(5)  # Ray ends the workers of a driver that is gone
            left = workers()
        finally:
            ray.shutdown()
            cluster.shutdown()
        print(f"{good} of {arguments.trials} are whole and the same; {len(left)} workers are left")
        sys.exit(int(good != arguments.trials or bool(left)))


if __name__ == "__main__":
    main()
