"""The index of prepared clips, ``index.json``: sources, streams, QPs, frame types, scene cuts."""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from vqe_fast._atomic_write import atomic_write, delete_drafts, locked
from vqe_fast.data.degradation import Degradation
from vqe_fast.video.frames.color import ColorFacts

INDEX_NAME = "index.json"

_LOCK_NAME = "index.lock"
_WRITE_INTERVAL = 5.0  # seconds


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FileEntry(_Strict):
    """Entry of a file: path, from the index's folder on or absolute, size and SHA-256."""

    path: str
    bytes: int = Field(ge=1)
    sha256: str = Field(pattern="^[0-9a-f]{64}$")


class SourceEntry(_Strict):
    """Entry of a clip's source: path, SHA-256, and the settings that decide about its frames."""

    path: str
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    settings: dict[str, Any]


class StreamEntry(_Strict):
    """Entry of a degraded version of a clip.

    Attributes:
        file: the bitstream.
        degradation: what made it.
        first: number of the pristine frame that its first frame stands for.
        step: how many pristine frames one of its frames stands for.
        types: I, P, B or ? for each frame, in display order.
        qp: of each frame; null where nothing tells.
        sizes: bytes of each frame.
    """

    file: FileEntry
    degradation: Degradation
    first: int = Field(0, ge=0)
    step: int = Field(1, ge=1)
    types: str
    qp: list[float | None]
    sizes: list[int]


class ClipEntry(_Strict):
    """Entry of a clip and its degraded versions, by the names of their degradations."""

    name: str
    source: SourceEntry
    pristine: FileEntry
    frames: int = Field(ge=1)
    width: int
    height: int
    rate: str
    color: ColorFacts
    cut_threshold: float
    cuts: list[int]
    streams: dict[str, StreamEntry]


class Index(_Strict):
    """The index of all clips of a folder."""

    format: Literal[1] = 1
    clips: list[ClipEntry] = []

    @classmethod
    def read(cls, folder: Path) -> Index:
        """The index of ``folder``.

        Raises:
            ValueError: there is none, or it is not one of this format.
        """
        path = folder / INDEX_NAME
        try:
            return cls.model_validate_json(path.read_bytes())
        except FileNotFoundError as error:
            raise ValueError(f"{folder} holds no {INDEX_NAME}: run vqe-fast prepare") from error
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"])) or "the beginning"
            raise ValueError(
                f"{path} is not an index of this version ({first['msg']} at {place}): "
                "prepare into another folder"
            ) from error

    def write(self, folder: Path) -> None:
        """Writes the index into ``folder`` atomically; the lists of numbers take a line each."""
        text = re.sub(
            r"\[[\s\d.,null-]*\]",
            lambda found: re.sub(r"\s+", " ", found[0]).replace("[ ", "[").replace(" ]", "]"),
            self.model_dump_json(indent=1),
        )
        with atomic_write(folder / INDEX_NAME) as draft:
            draft.write_text(text + "\n", "utf-8")


class SharedIndex:
    """The index of a folder while it grows, perhaps by several processes at once.

    It is written now and then, and at the end whatever happens: what this process has changed
    since, on top of what others have written meanwhile.

    Attributes:
        clips: all of them by :func:`stem_of`, as of the last time that it was read or written.
    """

    def __init__(self, folder: Path) -> None:
        """Reads it.

        Raises:
            ValueError: it is not one of this format.
        """
        self._folder = folder
        self.clips: dict[str, ClipEntry] = _clips_in(folder)
        self._changes: list[tuple[str, _Change]] = []
        self._written = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._changes:
            self._write()

    def stream(self, stem: str, degradation: Degradation) -> StreamEntry | None:
        """A degraded version of a clip, if there is one."""
        clip = self.clips.get(stem)
        return None if clip is None else clip.streams.get(degradation.name)

    def put(self, clip: ClipEntry, dropped: Collection[StreamEntry] = ()) -> None:
        """Adds or replaces a clip without its streams: those there are stay but for ``dropped``."""

        def change(known: ClipEntry | None) -> ClipEntry:
            streams = {} if known is None else known.streams
            kept = {name: each for name, each in streams.items() if each not in dropped}
            return clip.model_copy(update={"streams": kept})

        self._change(stem_of(clip.source), change)

    def add(self, clip: ClipEntry, stream: StreamEntry) -> None:
        """Adds or replaces a degraded version of a clip."""

        def change(known: ClipEntry | None) -> ClipEntry:
            known = known or clip
            streams = known.streams | {stream.degradation.name: stream}
            return known.model_copy(update={"streams": streams})

        self._change(stem_of(clip.source), change)

    def outdated(self, origins: Iterable[SourceEntry]) -> list[str]:
        """Stems of clips made of other contents of the same sources with the same settings."""
        now = {_identity(origin): origin.sha256 for origin in origins}
        return [
            stem
            for stem, clip in self.clips.items()
            if now.get(_identity(clip.source), clip.source.sha256) != clip.source.sha256
        ]

    def forget(self, stem: str) -> None:
        """Removes a clip."""
        self._change(stem, lambda known: None)

    def _change(self, stem: str, change: _Change) -> None:
        before = self.clips.get(stem)
        _apply(self.clips, stem, change)
        if self.clips.get(stem) == before:
            return
        self._changes.append((stem, change))
        if time.monotonic() - self._written > _WRITE_INTERVAL:
            self._write()

    def _write(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        with locked(self._folder / _LOCK_NAME):
            delete_drafts(self._folder / INDEX_NAME)
            clips = _clips_in(self._folder)
            for stem, change in self._changes:
                _apply(clips, stem, change)
            # In an order that does not depend on which thread or process was first.
            ordered = sorted(clips.values(), key=lambda clip: (clip.source.path, clip.name))
            Index(clips=[_sorted(clip) for clip in ordered]).write(self._folder)
        self.clips, self._changes, self._written = clips, [], time.monotonic()


def stem_of(origin: SourceEntry) -> str:
    """File name stem of all files of a clip; another content or setting has another stem."""
    text = json.dumps(origin.model_dump(), sort_keys=True)
    digest = hashlib.sha256(text.encode()).hexdigest()[:10]
    return f"{slug(Path(origin.path).stem)}-{digest}"


def slug(name: str) -> str:
    """A name in small letters, digits and underscores."""
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")


_Change = Callable[[ClipEntry | None], ClipEntry | None]
"""From a clip to the clip after the change; None stands for no clip."""


def _apply(clips: dict[str, ClipEntry], stem: str, change: _Change) -> None:
    after = change(clips.get(stem))
    if after is None:
        clips.pop(stem, None)
    else:
        clips[stem] = after


def _clips_in(folder: Path) -> dict[str, ClipEntry]:
    if not (folder / INDEX_NAME).exists():
        return {}
    return {stem_of(clip.source): clip for clip in Index.read(folder).clips}


def _sorted(clip: ClipEntry) -> ClipEntry:
    return clip.model_copy(update={"streams": dict(sorted(clip.streams.items()))})


def _identity(origin: SourceEntry) -> str:
    return origin.model_copy(update={"sha256": ""}).model_dump_json()
