"""Why an actor of Ray died, in words."""

from __future__ import annotations

import re
from types import ModuleType


def cause_of_death(ray: ModuleType, error: Exception) -> str:
    """What became of a worker, in the manner of ``was killed by signal 9``.

    Args:
        ray: the module.
        error: what a call of its actor raised.
    """
    if isinstance(error, ray.exceptions.OutOfMemoryError):
        return "was ended by Ray, as its node ran low on memory"
    if isinstance(error, ray.exceptions.ActorUnavailableError):
        return "could not be reached any more"
    if re.search(r"because its (node|raylet) (has )?died|node was terminated", str(error)):
        return "was lost with its node"
    return "was killed or crashed"


def why_none_starts(ray: ModuleType, error: Exception) -> str | None:
    """Why no other worker would start either, as one sentence; None if another may.

    Args:
        ray: the module.
        error: what the first call of an actor raised.
    """
    where = re.search(r"\bip[=:]\s*([^\s,)]+)", str(error))
    node = where.group(1) if where else "a node"
    if isinstance(error, ray.exceptions.ActorDiedError) and error.actor_init_failed:
        return (
            f"no worker starts on {node}, where it ends with {last_line(error)}: install the same "
            "vqe_fast and the same models there as here"
        )
    if isinstance(error, ray.exceptions.RuntimeEnvSetupError):
        return f"no worker starts, as Ray cannot set OMP_NUM_THREADS for it: {last_line(error)}"
    if isinstance(error, ray.exceptions.ActorUnschedulableError):
        return f"no worker starts, as Ray has no place for it: {last_line(error)}"
    return None


def last_line(error: Exception) -> str:
    """The last line that an error says, which in a traceback is the exception."""
    return str(error).strip().rpartition("\n")[2]
