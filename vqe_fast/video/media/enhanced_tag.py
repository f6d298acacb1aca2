"""The tag that says of a file by what and how it was enhanced."""

from __future__ import annotations

import re

from av.container import InputContainer, OutputContainer
from av.video.stream import VideoStream

ENHANCED_BY = "ENHANCED_BY"
"""The tag's name in Matroska and WebM, which take any."""

PROGRAM = "vqe_fast"
_NAMES = {ENHANCED_BY.lower(), "encoding_tool", "encoder"}


def write_tag(output: OutputContainer, video: VideoStream, text: str) -> None:
    """Writes the tag where the container keeps it.

    MP4 has a tag for the program that made a file. QuickTime's only has room for the first 31
    characters, in the description of the video's samples.

    Args:
        output: whose header is not written yet.
        video: its video.
        text: begins with :data:`PROGRAM`.
    """
    if output.format.name == "mov":
        video.metadata["encoder"] = text
    else:
        name = "encoding_tool" if output.format.name == "mp4" else ENHANCED_BY
        output.metadata[name] = text


def with_fingerprint(text: str, fingerprint: str) -> str:
    """The text of a tag that tells the fingerprint of the enhancement, too."""
    return f"{text}, run {fingerprint}"


def fingerprint_in(text: str) -> str | None:
    """The fingerprint in the text of a tag, or None: QuickTime's is cut before it."""
    found = re.search(r", run ([0-9a-f]{12})$", text)
    return None if found is None else found[1]


def find_tag(container: InputContainer, video: VideoStream) -> str | None:
    """The tag of a file that was enhanced before, as far as its container has kept it, or None."""
    for metadata in (container.metadata, video.metadata):
        for name, text in metadata.items():
            if name.lower() in _NAMES and text.startswith(f"{PROGRAM} "):
                return text
    return None
