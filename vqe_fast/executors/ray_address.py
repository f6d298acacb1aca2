"""Connecting to a Ray cluster by its address, with a sentence where nothing answers."""

from __future__ import annotations

import logging
import os
import signal
import socket
import tempfile
import threading
import warnings
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from importlib import import_module
from types import ModuleType
from typing import Any

from vqe_fast.executors.executor import ExecutorError

_AUTH_MODE = "RAY_AUTH_MODE"
_ANSWER_SECONDS = 10.0
_LISTEN_SECONDS = 2.0
_STORE_BYTES = 256 * 2**20


@contextmanager
def connected(address: str) -> Iterator[ModuleType]:
    """A connection of this process to a Ray cluster, and the module ``ray``.

    Args:
        address: ``auto`` for the cluster of ``RAY_ADDRESS`` or, without that, one that runs on this
            machine; where this process is connected already, as the driver of a job may be, that
            connection, which stays. ``local`` for a cluster of its own on this machine, which ends
            with the context. ``ray://HOST:10001`` for a cluster that this machine is no part of,
            by Ray Client. ``HOST:PORT`` for the one of which this machine is a node.

    Raises:
        ExecutorError: Ray is not installed, or no cluster answers within 20 seconds.
    """
    ray = _imported()
    if ray.is_initialized():
        if address != "auto":
            raise ExecutorError(
                f"this process is connected to a Ray cluster already and cannot use {address}: "
                "call ray.shutdown() before, or take the address auto for that cluster"
            )
        yield ray
        return
    # Where Ray would, as the name of a socket has no more than 107 characters; but not its default
    # folder, which names the cluster that auto leads to.
    parent = os.environ.get("RAY_TMPDIR", "/tmp")
    with tempfile.TemporaryDirectory("", "vqe-ray-", parent, ignore_cleanup_errors=True) as folder:
        mode = os.environ.get(_AUTH_MODE)
        try:
            # Ray lets workers import from the folder in which a driver starts: that may be a
            # checkout, whose modules are not those that are installed.
            with _signals_kept(), chdir(folder):
                _connect(ray, address, folder)
            yield ray
        finally:
            ray.shutdown()
            _restore_auth_mode(mode)


def _imported() -> ModuleType:
    """The module ``ray``, set to say nothing and to ask nothing of the outside."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    for name, value in (
        ("RAY_CLIENT_INITIAL_CONNECTION_TIMEOUT_S", "5"),
        ("RAY_CLIENT_MAX_CONNECTION_TIMEOUT_S", "5"),
        ("RAY_NUM_REDIS_GET_RETRIES", "5"),
        ("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0"),
    ):
        os.environ.setdefault(name, value)
    try:
        import grpc  # noqa: F401  # of ray[client], asked for before anything is started
        import ray
    except ModuleNotFoundError as error:
        raise ExecutorError(
            f"a cluster needs Ray, and {error.name} is missing: pip install 'vqe_fast[cluster]'"
        ) from error
    # Ray prints to stdout that a worker has died, whatever log_to_driver says.
    ray._private.worker._worker_logs_enabled = False
    module: ModuleType = ray  # where Ray is not installed, type checkers know nothing of it
    return module


def _restore_auth_mode(mode: str | None) -> None:
    """Lets the process forget that a cluster of its own had a token: others may have none."""
    if mode is None and os.environ.pop(_AUTH_MODE, None) is not None:
        raylet: Any = import_module("ray._raylet")  # which set it
        raylet.Config.initialize("")
        raylet.AuthenticationTokenLoader.instance().reset_cache()


def _connect(ray: ModuleType, address: str, folder: str) -> None:
    quiet = {"log_to_driver": False, "logging_level": logging.CRITICAL}
    try:
        if address == "local":
            ray.init(
                "local",
                include_dashboard=False,
                object_store_memory=_STORE_BYTES,
                _temp_dir=folder,
                **quiet,
            )
        else:
            found = _resolved(address)
            _await_answer(found.removeprefix("ray://"))
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # a second word on what is raised as well
                ray.init(found, **quiet)
    except ExecutorError:
        raise
    except ConnectionError as error:
        raise ExecutorError(
            f"the Ray cluster {address} cannot be used from here: HOST:PORT is for a machine that "
            "is one of its nodes, by the port of ray start, 6379; ray://HOST:PORT is for others, "
            "by the port of Ray Client, 10001; a cluster with a token asks for RAY_AUTH_MODE=token"
        ) from error
    except Exception as error:  # Ray raises what its layers do: of gRPC, of the system, its own
        said = " ".join(str(error).split()) or type(error).__name__
        raise ExecutorError(f"the Ray cluster {address} cannot be used: {said}") from error


def _resolved(address: str) -> str:
    """``HOST:PORT`` or ``ray://HOST:PORT`` of an address."""
    from ray._private.services import get_ray_address_from_environment

    if address != "auto":
        found = address
    else:
        try:
            found = str(get_ray_address_from_environment(address, None))
        except ConnectionError as error:
            raise ExecutorError(
                "no Ray cluster runs on this machine: start one with ray start --head, name one "
                "in RAY_ADDRESS, or take the address local"
            ) from error
    host, colon, port = found.removeprefix("ray://").rpartition(":")
    if not (host and colon and port.isdecimal()) or "://" in host:
        raise ExecutorError(
            f"{found!r} is no address of a Ray cluster: give auto, local, HOST:PORT or "
            "ray://HOST:10001"
        )
    return found


def _await_answer(address: str) -> None:
    """Waits until something there speaks gRPC: Ray itself would try for minutes."""
    import grpc
    from ray._private.grpc_utils import init_grpc_channel

    channel = init_grpc_channel(address, options=[("grpc.enable_http_proxy", 0)])
    try:
        grpc.channel_ready_future(channel).result(timeout=_ANSWER_SECONDS)
    except grpc.FutureTimeoutError as error:
        raise ExecutorError(
            f"no Ray cluster answers at {address}: check with ray status on that machine that it "
            "runs, and that its port is reached from here"
        ) from error
    finally:
        channel.close()


def head_of(ray: ModuleType) -> str | None:
    """``HOST:PORT`` of the head of the cluster; None through Ray Client, which hides it."""
    if ray.util.client.ray.is_connected():
        return None
    return str(ray.get_runtime_context().gcs_address)


def listens(address: str) -> bool:
    """Whether a connection to ``HOST:PORT`` can be made."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), _LISTEN_SECONDS).close()
    except OSError:
        return False
    return True


@contextmanager
def _signals_kept() -> Iterator[None]:
    """Puts back the handlers of signals that Ray replaces, SIGTERM's, which it turns into an exit.

    A SIGTERM that comes meanwhile goes to the handler from before.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # Ray replaces none there
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    except SystemExit:
        signal.signal(signal.SIGTERM, before)
        signal.raise_signal(signal.SIGTERM)
        raise
    finally:
        signal.signal(signal.SIGTERM, before)
