"""``RayCluster``: workers that are actors on the nodes of a Ray cluster."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from types import ModuleType, TracebackType
from typing import Any, Self

from vqe_fast._version import __version__
from vqe_fast.executors.executor import Chunk, Event, ExecutorError, Lost, Progress, Setup, Task
from vqe_fast.executors.pickled import pickled
from vqe_fast.executors.ray_actor import RayWorker
from vqe_fast.executors.ray_address import connected, head_of, listens
from vqe_fast.executors.ray_deaths import cause_of_death, why_none_starts
from vqe_fast.executors.ray_resources import resources_for

_LOOK_SECONDS = 2.0
_NO_ROOM_SECONDS = 60.0
_GONE_SECONDS = 20.0  # of a head that comes again; Ray itself ends the process after 60
_DEATHS_AT_START = 3
_PROGRESS_A_SECOND = 100
"""Of all workers: each costs the driver as much as a task."""


class RayCluster:
    """An executor of Ray actors, as many as the nodes of a cluster have room for.

    Workers are started when the context is entered and, as nodes come, later; a worker on a node
    that goes is replaced where there is room. Only those that have started are counted. They are
    called ``HOST:PROCESS``.

    Args:
        setup: makes the context of each; has to be one that can be pickled.
        address: of the cluster: ``auto``, ``local``, ``HOST:PORT`` or ``ray://HOST:10001``; see
            :func:`~vqe_fast.executors.ray_address.connected`.
        worker_cpus: cores of each, None for what suits the nodes;
            see :func:`~vqe_fast.executors.ray_resources.resources_for`.
        worker_gpus: GPUs of each, or a fraction, None for one where the cluster has any.
        workers: how many to ask for, also if there is no room for them yet, so that an autoscaler
            adds nodes; None for as many as there is room for.

    Raises:
        ExecutorError: when it is entered, if no cluster answers or it has no room for a worker.
        UnsendableError: then, if the setup cannot be pickled.
    """

    def __init__(
        self,
        setup: Setup,
        address: str,
        *,
        worker_cpus: int | None = None,
        worker_gpus: float | None = None,
        workers: int | None = None,
    ) -> None:
        self._setup, self._address = setup, address
        self._worker_cpus, self._worker_gpus = worker_cpus, worker_gpus
        self._wanted = workers
        self._left = ExitStack()
        self._starting: dict[Any, Any] = {}
        self._actors: dict[Any, _Actor] = {}
        self._deaths_at_start = 0

    @property
    def free(self) -> int:
        """How many of the workers that have started are idle."""
        return sum(actor.key is None for actor in self._actors.values())

    @property
    def workers(self) -> int:
        """How many have started."""
        return len(self._actors)

    def submit(self, key: int, task: Task) -> None:
        """Gives a task to a worker that is idle."""
        actor = next(actor for actor in self._actors.values() if actor.key is None)
        actor.key = key
        actor.handle.give.remote(key, self._ray.cloudpickle.dumps(task))

    def poll(self, handle: Callable[[Event], None], seconds: float) -> None:
        """Waits until a worker tells something, starts or dies, but no longer than that.

        Raises:
            ExecutorError: no worker can be started, or the cluster is gone.
        """
        self._look_at_nodes()
        calls = [*self._actors, *self._starting]
        wait = min(seconds, _LOOK_SECONDS)
        if not calls:
            time.sleep(wait)
            return
        try:
            ready, _ = self._ray.wait(calls, timeout=wait)
            if ready:
                ready, _ = self._ray.wait(calls, num_returns=len(calls), timeout=0)
        except (self._ray.exceptions.RaySystemError, ConnectionError) as error:
            raise self._gone() from error
        for call in ready:
            if call in self._starting:
                self._started(call)
            elif event := self._heard(call):
                handle(event)

    def __enter__(self) -> Self:
        with ExitStack() as left:
            self._ray: ModuleType = left.enter_context(connected(self._address))
            self._pickled = self._ray.put(pickled(self._setup, self._ray.cloudpickle.dumps))
            self._head = head_of(self._ray)
            self._answered = time.monotonic()
            self._resources = resources_for(self._nodes(), self._worker_cpus, self._worker_gpus)
            self._had_room = time.monotonic()
            if self._wanted is None and not self._resources.fits(self._nodes()):
                raise self._no_room()
            left.callback(self._end)
            self._look_again = 0.0
            self._left = left.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._left.close()

    def _look_at_nodes(self) -> None:
        """Starts workers where there is room for more, and no longer waits for those without."""
        if time.monotonic() < self._look_again:
            return
        self._look_again = time.monotonic() + _LOOK_SECONDS
        if not self._head_listens():
            return
        wanted = self._resources.fits(self._nodes()) if self._wanted is None else self._wanted
        if wanted or self._actors:
            self._had_room = time.monotonic()
        elif time.monotonic() - self._had_room > _NO_ROOM_SECONDS:
            raise self._no_room()
        for call in list(self._starting)[: max(0, self._asked_for() - wanted)]:
            self._ray.kill(self._starting.pop(call))
        for _ in range(wanted - self._asked_for()):
            self._start(quiet=max(1.0, wanted / _PROGRESS_A_SECOND))

    def _head_listens(self) -> bool:
        """Whether the cluster's head can be asked: if not, Ray waits, and then ends the process."""
        if self._head is None or listens(self._head):
            self._answered = time.monotonic()
            return True
        if time.monotonic() - self._answered > _GONE_SECONDS:
            raise self._gone()
        return False

    def _asked_for(self) -> int:
        return len(self._actors) + len(self._starting)

    def _nodes(self) -> list[dict[str, Any]]:
        try:
            return [node for node in self._ray.nodes() if node["Alive"]]
        except Exception as error:  # of gRPC, of Ray, of the system, by what is gone
            raise self._gone() from error

    def _start(self, quiet: float) -> None:
        """Asks for one more worker, which is quiet so many seconds after each progress."""
        remote = self._ray.remote(
            num_cpus=self._resources.cpus,
            num_gpus=self._resources.gpus,
            max_concurrency=2,
            scheduling_strategy="SPREAD",
            runtime_env={"env_vars": {"OMP_NUM_THREADS": str(self._resources.cpus)}},
        )
        handle = remote(RayWorker).remote(
            self._pickled, self._resources.device, self._resources.cpus, quiet
        )
        self._starting[handle.introduce.remote()] = handle

    def _started(self, call: Any) -> None:
        """Takes a worker into service, or tells why it did not start."""
        handle = self._starting.pop(call)
        try:
            name, version = self._ray.get(call)
        except self._ray.exceptions.RayError as error:
            self._died_at_start(error)
            return
        if version != __version__:
            raise ExecutorError(
                f"{name} has vqe_fast {version}, but this machine {__version__}: install the same "
                "on all nodes"
            )
        self._deaths_at_start = 0
        self._actors[handle.tell.remote()] = _Actor(handle, name)

    def _died_at_start(self, error: Exception) -> None:
        """Lets another worker be started, if that makes sense."""
        if why := why_none_starts(self._ray, error):
            raise ExecutorError(why) from error
        self._deaths_at_start += 1
        if self._deaths_at_start == _DEATHS_AT_START:
            raise ExecutorError(
                f"{_DEATHS_AT_START} workers in a row died as they started, the last one "
                f"{cause_of_death(self._ray, error)}: see Ray's logs on that node"
            ) from error
        self._look_again = 0.0

    def _heard(self, call: Any) -> Event | None:
        """What a worker says, or that the task of a dead one is lost."""
        actor = self._actors.pop(call)
        try:
            event: Event = self._ray.get(call)
        except self._ray.exceptions.RayError as error:
            self._replace(actor)
            if actor.key is None:
                return None
            return Lost(actor.key, cause_of_death(self._ray, error), actor.name)
        if isinstance(event, Lost):
            self._replace(actor)
            return event
        if not isinstance(event, Progress | Chunk):
            actor.key = None
        self._actors[actor.handle.tell.remote()] = actor
        return event

    def _replace(self, actor: _Actor) -> None:
        self._ray.kill(actor.handle)
        self._look_again = 0.0

    def _end(self) -> None:
        """Ends all workers, whatever they are doing."""
        for actor in self._actors.values():
            self._ray.kill(actor.handle)
        for handle in self._starting.values():
            self._ray.kill(handle)
        self._actors.clear()
        self._starting.clear()

    def _no_room(self) -> ExecutorError:
        return ExecutorError(
            f"no node of the cluster {self._address} has {self._resources}: lower --worker-cpus or "
            "--worker-gpus, or say with --workers how many an autoscaler is to make room for"
        )

    def _gone(self) -> ExecutorError:
        return ExecutorError(
            f"the Ray cluster {self._address} does not answer any more: when it runs again, "
            "start the same command, which goes on where this one ended"
        )


@dataclass
class _Actor:
    """A worker that has started."""

    handle: Any
    name: str
    key: int | None = None
