"""Setups as bytes that workers make them of."""

from __future__ import annotations

import pickle
from collections.abc import Callable

from vqe_fast.executors.executor import Setup, UnsendableError


def pickled(setup: Setup, dumps: Callable[[Setup], bytes]) -> bytes:
    """The bytes of a setup.

    Args:
        setup: to be sent.
        dumps: of whatever pickles for these workers.

    Raises:
        UnsendableError: something in it cannot be pickled.
    """
    try:
        return dumps(setup)
    except (pickle.PicklingError, AttributeError, TypeError, RuntimeError) as error:
        raise UnsendableError(str(error)) from error
