"""``VideoError`` and its kinds, for videos that cannot be read, enhanced or written as asked."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from vqe_fast.storage.errors import StorageError


class VideoError(ValueError):
    """An error in source, target or options: one sentence for the user, and what to do about it.

    Where the text is not about the source, as it is of a :class:`SourceError`, nor about workers,
    as it is of a :class:`WorkerError`, it is about target or options.
    """


class SourceError(VideoError):
    """An error in a source: missing, unreadable, damaged, or not to be enhanced as asked."""


class MissingError(SourceError):
    """A source that does not exist, as seen from where it was to be read."""


class SkippedError(VideoError):
    """A file of several for which there is nothing to do."""


class HeldError(SkippedError):
    """An output that another process is working on."""


class WorkerError(VideoError):
    """A failure of workers, which did not finish what they were given.

    Args:
        text: one sentence.
        trace: the traceback of a worker's exception, which Python prints below the sentence.
    """

    def __init__(self, text: str, trace: str | None = None) -> None:
        super().__init__(text)
        self.trace = trace
        if trace is not None:
            self.add_note(trace)


@contextmanager
def storage_refusals() -> Iterator[None]:
    """Turns a :class:`StorageError` into a :class:`VideoError`, where a call of a user ends.

    Within, they stay apart: what is damaged is worked on as far as it goes, what cannot be read
    ends the work.
    """
    try:
        yield
    except StorageError as error:
        kind = SourceError if error.is_of_reading else VideoError
        raise kind(str(error)) from None
