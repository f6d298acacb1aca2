"""HTML page of a comparison: one file with pictures, figures and the player."""

from __future__ import annotations

import base64
import hashlib
import html
import json
from importlib import resources
from typing import Any, TextIO

_SCRIPTS = ("pictures", "player", "viewer", "magnifier", "curves", "summary", "controls", "main")
"""Names of the parts of the program in the order in which they need each other."""


class Page:
    """Writer of a page: first :meth:`add` its pictures, then :meth:`finish`.

    The browser is told to load nothing and to run nothing but the program of this package,
    whatever names and titles may contain.

    Args:
        file: where it goes.
        title: of the page.

    Attributes:
        written: characters so far, with those of the program that comes last.
    """

    def __init__(self, file: TextIO, title: str) -> None:
        self._file = file
        self.written = 0
        style, self._script = _part("page.css"), "".join(f"{_part(f'{s}.js')}\n" for s in _SCRIPTS)
        self._script = f'"use strict";\n(() => {{\n{self._script}}})();\n'
        head, self._rest = _part("page.html").split("<!--pictures-->")
        policy = (
            f"default-src 'none'; script-src '{_hash(self._script)}'; style-src '{_hash(style)}'"
        )
        head = head.replace("<!--policy-->", policy).replace("<!--style-->", style)
        self._write(head.replace("<!--title-->", html.escape(title)))
        self.written += len(self._rest) + len(self._script)

    def add(self, name: str, picture: bytes) -> None:
        """Adds a WebP picture.

        Args:
            name: letter of the video and number of the frame within the page, such as ``A0``.
            picture: the file.
        """
        text = base64.b64encode(picture).decode("ascii")
        self._write(f'<script type="text/plain" id="{name}">{text}</script>\n')

    def finish(self, data: dict[str, Any]) -> None:
        """Adds the figures and the player."""
        text = json.dumps(data, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
        self._write(self._rest.replace("<!--data-->", text).replace("<!--script-->", self._script))

    def _write(self, text: str) -> None:
        self.written += self._file.write(text)


def _part(name: str) -> str:
    return resources.files("vqe_fast.comparison").joinpath("page", name).read_text("utf-8")


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
