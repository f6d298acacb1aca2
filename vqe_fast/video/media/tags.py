"""Metadata tags: those of the content, and those of the file that it was in."""

from __future__ import annotations

_ABOUT_THE_OLD_FILE = {
    "major_brand",
    "minor_version",
    "compatible_brands",
    "encoder",
    "encoding_tool",
    "vendor_id",
    "duration",
}


def content_tags(metadata: dict[str, str]) -> dict[str, str]:
    """Metadata tags of the content; without those of the file it was in."""
    return {k: v for k, v in metadata.items() if k.lower() not in _ABOUT_THE_OLD_FILE}
