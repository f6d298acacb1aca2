"""Journal of measurements on disk, from which an interrupted evaluation goes on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from vqe_fast._atomic_write import atomic_write

JOURNAL_NAME = "measured.jsonl"


class Journal:
    """Append-only file of JSON lines, each measurement under the key of all it depends on.

    A line that an interruption cut off is dropped.

    Args:
        folder: where it lies.

    Raises:
        ValueError: the file is not one of this kind.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / JOURNAL_NAME
        self._known = self._read()
        self._file = self._path.open("a", encoding="utf-8")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._file.close()

    def get(self, key: Mapping[str, Any]) -> Any | None:
        """The measurement under a key; None if there is none."""
        return self._known.get(_digest(key))

    def put(self, key: Mapping[str, Any], value: Any) -> None:
        """Appends a measurement, at once."""
        digest = _digest(key)
        self._known[digest] = value
        self._file.write(_line(digest, value))
        self._file.flush()

    def _read(self) -> dict[str, Any]:
        if not self._path.exists():
            return {}
        known = {}
        whole, _, rest = self._path.read_bytes().rpartition(b"\n")
        for line in whole.splitlines():
            try:
                entry = json.loads(line)
                known[entry["key"]] = entry["value"]
            except (ValueError, KeyError, TypeError) as error:
                raise ValueError(
                    f"{self._path} is not what an evaluation has written: delete it, or choose "
                    "another output folder"
                ) from error
        if rest:
            with atomic_write(self._path) as draft:
                draft.write_text("".join(_line(*each) for each in known.items()), "utf-8")
        return known


def _digest(key: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()


def _line(digest: str, value: Any) -> str:
    return json.dumps({"key": digest, "value": value}) + "\n"
