"""Files that appear under their names only when they are complete."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yields the path to write in the place of ``path``, which it replaces if all is well.

    A device or a pipe is itself what to write.
    """
    if path.exists() and not path.is_file():
        yield path
        return
    path = path.resolve()
    draft = path.with_name(f".{path.stem[:40]}.{secrets.token_hex(4)}.part{path.suffix}")
    try:
        yield draft
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)
