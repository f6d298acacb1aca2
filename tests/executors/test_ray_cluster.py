"""Ray's nodes, addresses and signals; what all executors have in common is in the contract."""

import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
import types
from pathlib import Path

import pytest

from support.processes import PATIENCE, wait_for
from support.ray_clusters import add_node
from support.toy_tasks import Square, Toys, WaitFor, Where
from vqe_fast.executors import ray_address
from vqe_fast.executors import ray_cluster as module
from vqe_fast.executors.executor import ExecutorError, Finished, Lost, UnsendableError
from vqe_fast.executors.ray_address import connected
from vqe_fast.executors.ray_cluster import RayCluster


@pytest.fixture
def needs_ray():
    pytest.importorskip("ray", reason="ray is not installed: pip install 'vqe_fast[cluster]'")


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(ray_address, "_ANSWER_SECONDS", 0.3)


@pytest.fixture
def closed_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))  # without listening
        yield probe.getsockname()[1]


def wait(executor, condition):
    events, deadline = [], time.monotonic() + PATIENCE
    while not condition(events):
        assert time.monotonic() < deadline, events
        executor.poll(events.append, 1.0)
    return events


def test_nodes_come_and_go(cluster, tmp_path):
    (node,) = cluster.worker_nodes
    with RayCluster(Toys(), cluster.address, worker_cpus=1) as executor:
        wait(executor, lambda _: executor.workers == 2)
        files = [tmp_path / "0", tmp_path / "1"]
        for key, file in enumerate(files):
            executor.submit(key, WaitFor(file))
        wait(executor, lambda _: all(file.exists() for file in files))
        raylet = node.all_processes["raylet"][0].process.pid
        there = Path(f"/proc/{raylet}/task/{raylet}/children").read_text().split()
        key = next(key for key, file in enumerate(files) if file.read_text() in there)
        os.kill(raylet, signal.SIGKILL)
        (lost,) = wait(executor, bool)
        assert lost == Lost(key, "was lost with its node", lost.worker)
        assert lost.worker.endswith(f":{files[key].read_text()}")
        files[1 - key].unlink()
        (other,) = wait(executor, bool)
        assert isinstance(other, Finished) and other.key == 1 - key
        assert (executor.free, executor.workers) == (1, 1)
        cluster.remove_node(node)
        add_node(cluster)
        wait(executor, lambda _: executor.workers == 2)


def test_idle_workers_that_die_are_replaced_and_those_without_room_wait(cluster):
    with RayCluster(Toys(), cluster.address, worker_cpus=1, workers=3) as executor:
        wait(executor, lambda _: executor.workers == 2)
        executor.submit(0, Where())
        (event,) = wait(executor, bool)
        assert event.result[3] == "1"
        os.kill(event.result[0], signal.SIGKILL)
        assert not wait(executor, lambda _: executor.workers == 1)
        assert not wait(executor, lambda _: executor.workers == 2)
        for key in (1, 2):
            executor.submit(key, Where())
        assert executor.free == 0
        others = wait(executor, lambda events: len(events) == 2)
        assert event.result[0] not in [other.result[0] for other in others]


def test_no_node_is_large_enough(cluster):
    with (
        pytest.raises(ExecutorError, match=r"no node .* has 99 cores: lower --worker-cpus"),
        RayCluster(Toys(), cluster.address, worker_cpus=99),
    ):
        pass
    assert not sys.modules["ray"].is_initialized()


def test_the_head_is_gone(cluster, closed_port, monkeypatch):
    monkeypatch.setattr(module, "_GONE_SECONDS", 0.0)
    with RayCluster(Toys(), cluster.address, worker_cpus=1) as executor:
        assert executor._head == cluster.address
        executor._head = f"127.0.0.1:{closed_port}"
        with pytest.raises(ExecutorError, match=r"does not answer any more: .* the same command"):
            executor.poll(pytest.fail, 0.0)


def test_a_setup_that_cannot_be_sent(cluster):
    setup = Toys()
    setup.lock = threading.Lock()
    with pytest.raises(UnsendableError, match="lock"):
        RayCluster(setup, cluster.address).__enter__()
    assert not sys.modules["ray"].is_initialized()


def test_a_node_lacks_a_package(cluster, monkeypatch):
    absent = types.ModuleType("absent")
    absent.Absent = type("Absent", (Toys,), {"__module__": "absent"})
    monkeypatch.setitem(sys.modules, "absent", absent)
    with (
        RayCluster(absent.Absent(), cluster.address, worker_cpus=1) as executor,
        pytest.raises(ExecutorError, match=r"No module named 'absent': install the same vqe_fast"),
    ):
        wait(executor, bool)


def test_a_node_has_another_version(cluster, monkeypatch):
    monkeypatch.setattr(module, "__version__", "0.0.7")
    with (
        RayCluster(Toys(), cluster.address, worker_cpus=1) as executor,
        pytest.raises(ExecutorError, match=r":\d+ has vqe_fast .*, but this machine 0\.0\.7"),
    ):
        wait(executor, bool)


def test_the_callers_connection_stays(cluster):
    ray = sys.modules["ray"]
    ray.init(cluster.address, log_to_driver=False)
    try:
        with connected("auto") as found:
            assert found is ray
        assert ray.is_initialized()
        with pytest.raises(ExecutorError, match="connected to a Ray cluster already"):
            RayCluster(Toys(), "local").__enter__()
    finally:
        ray.shutdown()


def test_handlers_of_signals_stay(cluster):
    def handler(number, frame):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, handler)
    try:
        with connected(cluster.address):
            assert signal.getsignal(signal.SIGTERM) is handler
    finally:
        signal.signal(signal.SIGTERM, before)


def test_auto_is_the_cluster_of_the_environment(cluster, monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", cluster.address)
    with connected("auto") as ray:
        assert ray.get_runtime_context().gcs_address == cluster.address


def test_workers_end_when_their_driver_is_killed(cluster, tmp_path):
    driver = subprocess.Popen(
        [sys.executable, "-c", DRIVER, cluster.address, tmp_path / "pid"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    wait_for((tmp_path / "pid").exists, driver)
    worker = Path("/proc", (tmp_path / "pid").read_text())
    driver.kill()
    assert driver.communicate()[0] == ""
    deadline = time.monotonic() + PATIENCE
    while worker.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)


DRIVER = textwrap.dedent("""
    import sys
    from pathlib import Path
    from support.toy_tasks import Toys, WaitFor
    from vqe_fast.executors.ray_cluster import RayCluster

    with RayCluster(Toys(), sys.argv[1], worker_cpus=1) as executor:
        while not executor.free:
            executor.poll(print, 1.0)
        executor.submit(0, WaitFor(Path(sys.argv[2])))
        while True:
            executor.poll(print, 1.0)
""")


def test_a_cluster_of_its_own_is_gone_afterwards(needs_ray, cluster, capfd):
    with RayCluster(Toys(), "local", worker_cpus=1, workers=1) as executor:
        folder = sys.modules["ray"]._private.worker._global_node.get_temp_dir_path()
        assert Path(folder).name.startswith("vqe-ray-") and processes_of(folder)
        wait(executor, lambda _: executor.free)
        executor.submit(0, Square(3))
        (event,) = wait(executor, bool)
        assert event.result == 9
    assert not processes_of(folder) and not Path(folder).exists()
    assert capfd.readouterr() == ("", "")
    with RayCluster(Toys(), cluster.address, worker_cpus=1) as executor:  # which has no token
        wait(executor, lambda _: executor.free)


def processes_of(folder):
    """The processes whose command names a folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = path.read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has ended meanwhile
        if folder.encode() in command:
            found.append(command)
    return found


@pytest.mark.parametrize("protocol", ["", "ray://"])
def test_nothing_answers(needs_ray, impatient, closed_port, protocol, capfd):
    address = f"127.0.0.1:{closed_port}"
    with (
        pytest.raises(ExecutorError, match=f"no Ray cluster answers at {address}: "),
        connected(protocol + address),
    ):
        pass
    assert capfd.readouterr() == ("", "")


def test_another_port_of_a_cluster_answers(cluster, monkeypatch):
    monkeypatch.setattr("ray._private.ray_constants.NUM_REDIS_GET_RETRIES", 1)
    port = cluster.client.rpartition(":")[2]
    with (
        pytest.raises(ExecutorError, match=r"cannot be used from here: HOST:PORT is for a machine"),
        connected(f"127.0.0.1:{port}"),
    ):
        pass


def test_something_else_answers(needs_ray, impatient):
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        pytest.raises(ExecutorError, match="no Ray cluster answers"),
        connected(f"127.0.0.1:{server.getsockname()[1]}"),
    ):
        pass


@pytest.mark.parametrize("address", ["there", "there:", ":6379", "http://there:80", "a:b", ""])
def test_an_address_that_is_none(needs_ray, address):
    with pytest.raises(ExecutorError, match="is no address of a Ray cluster"), connected(address):
        pass


@pytest.mark.parametrize("package", ["ray", "grpc"])
def test_ray_is_not_installed(monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    with (
        pytest.raises(ExecutorError, match=r"needs Ray, .*: pip install 'vqe_fast\[cluster\]'"),
        connected("local"),
    ):
        pass
