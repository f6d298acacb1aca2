"""The fingerprint of an enhancement: what decides its frames, compared when it is resumed."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from vqe_fast._version import __version__
from vqe_fast.models.model_hash import model_hash
from vqe_fast.storage.location import Location, RemoteStat
from vqe_fast.video.errors import VideoError
from vqe_fast.video.options import SegmentOptions, asked_for
from vqe_fast.video.session import EnhanceSession

_END_BYTES, _REMOTE_END_BYTES = 1 << 20, 64 << 10
"""Bytes that are compared at both ends; fewer of remote files, which have an entity tag too."""

_NETWORK = "the model's code, options or weights"


def request_of(session: EnhanceSession, segments: SegmentOptions) -> dict[str, Any]:
    """The fingerprint: version, source, network, and the options that decide frames, as JSON."""
    chosen = asked_for(session.model, session.encode, segments, decide_frames=True)
    of_model = {
        "model": session.model_name,
        "network": model_hash(session.network),
        "device": session.device.type,
    }
    return {
        "version": __version__,
        "source": _fingerprint(session.source),
        "options": chosen | of_model,
    }


def refuse_changes(folder: Location, before: dict[str, Any], now: dict[str, Any]) -> None:
    """Checks that a resumed run has the fingerprint of the first one.

    Raises:
        VideoError: it is another; the text names what has changed.
    """
    changed = []
    if before["version"] != now["version"]:
        changed.append(f"the version of vqe-fast ({before['version']} → {now['version']})")
    of_source = [key for key in now["source"] if key != "path"]
    if any(before["source"].get(key) != now["source"][key] for key in of_source):
        changed.append(f"the source {now['source']['path']}")
    for key, value in now["options"].items():
        old = before["options"].get(key)
        if old != value:
            is_hash = key == "network"
            changed.append(_NETWORK if is_hash else f"{key} ({old} → {value})")
    if changed:
        raise VideoError(
            f"since {folder} was begun there have changed: {', '.join(changed)}; "
            "put that back, or delete the folder to start anew"
        )


def _fingerprint(source: Location) -> dict[str, Any]:
    facts = source.stat()
    tag = {"etag": facts.etag} if isinstance(facts, RemoteStat) else {}
    digest = hashlib.sha256()
    end = _END_BYTES if isinstance(source, Path) else _REMOTE_END_BYTES
    with source.open("rb") as file:
        digest.update(file.read(end))
        if facts.st_size >= end:
            file.seek(facts.st_size - end)
        digest.update(file.read())
    return {
        "path": str(source.resolve()),
        "bytes": facts.st_size,
        "modified_ns": facts.st_mtime_ns,
        "sha256_of_ends": digest.hexdigest(),
        **tag,
    }
