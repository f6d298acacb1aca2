"""A bounded queue between two threads that either side, or a third, can cancel."""

from __future__ import annotations

from collections.abc import Iterator
from queue import SimpleQueue
from typing import Generic, TypeVar

T = TypeVar("T")


class Cancelled(Exception):
    """Raised on both sides of a channel whose pipeline is being stopped."""


class _End:
    """What :meth:`Channel.close` and :meth:`Channel.cancel` put in the place of an item."""


class Channel(Generic[T]):
    """Bounded queue from one producer to one consumer, at most ``capacity`` items at a time.

    The item that the consumer is working on counts too. Both directions are queues written in C:
    a signal that raises in the main thread cannot leave a lock behind.
    """

    def __init__(self, capacity: int) -> None:
        self._items: SimpleQueue[T | _End] = SimpleQueue()
        self._room: SimpleQueue[None] = SimpleQueue()
        self._cancelled = False
        for _ in range(capacity):
            self._room.put(None)

    def put(self, item: T) -> None:
        """Waits for room and puts ``item`` in.

        Raises:
            Cancelled: the channel was cancelled.
        """
        self._room.get()
        if self._cancelled:
            raise Cancelled
        self._items.put(item)

    def close(self) -> None:
        """Marks the end: no more items come."""
        self._items.put(_End())

    def cancel(self) -> None:
        """Wakes both sides up with :class:`Cancelled`."""
        self._cancelled = True
        self._items.put(_End())
        self._room.put(None)

    def __iter__(self) -> Iterator[T]:
        while True:
            item = self._items.get()
            if self._cancelled:
                raise Cancelled
            if isinstance(item, _End):
                return
            yield item
            del item
            self._room.put(None)
