"""Fingerprints of an enhancement: what decides its frames, compared when it is resumed."""

from __future__ import annotations

import hashlib
import json
from contextlib import closing
from fractions import Fraction
from pathlib import Path
from typing import Any

from vqe_fast._version import __version__
from vqe_fast.models.model_hash import model_hash, weights_hash
from vqe_fast.storage.location import Location, RemoteStat
from vqe_fast.video.errors import SourceError, VideoError
from vqe_fast.video.media.enhanced_tag import find_tag, fingerprint_in
from vqe_fast.video.media.open import open_video, pick_stream
from vqe_fast.video.options import SegmentOptions, asked_for
from vqe_fast.video.session import EnhanceSession

_END_BYTES, _FEW_BYTES = 1 << 20, 64 << 10
"""Bytes that are compared at both ends; fewer of remote files, which have an entity tag too."""

_NETWORK = "the model's code, options or weights"
_DIGITS = 12


def request_of(session: EnhanceSession, segments: SegmentOptions) -> dict[str, Any]:
    """The fingerprint of parts: version, source, network, options that decide frames, as JSON."""
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


def fingerprint_of(
    session: EnhanceSession, start: Fraction = Fraction(0), frames: int | None = None
) -> str | None:
    """The fingerprint of an output: what it is made of, and with which options.

    Unlike that of parts it does not tell where the source lies and when it was copied there, nor on
    which device and in which segments the frames were enhanced: parts of two devices or cuts do
    not go together, but an output of either is what was asked for.

    Args:
        session: before anything is chosen that was not asked for.
        start: seconds of the source that are left out.
        frames: how many are taken; None for all.

    Returns:
        12 hexadecimal digits, the same on every machine; None for a model without a registered
        name, whose code may keep count of calls.

    Raises:
        SourceError: the source cannot be read.
    """
    if not isinstance(session.model.model, str):
        return None
    chosen = asked_for(session.model, session.encode, decide_frames=True)
    del chosen["device"]
    try:
        size = session.source.stat().st_size
        ends = _hash_of_ends(session.source, size, _FEW_BYTES)
    except OSError as error:
        raise SourceError(f"{session.source} cannot be read: {error.strerror}") from error
    told = {
        "version": __version__,
        "source": [size, ends],
        "options": chosen,
        "weights": [weights_hash(session.network), session.model.weights is None],
        "excerpt": [str(start), frames],
    }
    text = json.dumps(told, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]


def done_before(target: Location, fingerprint: str | None) -> bool | None:
    """Whether an output that is there has this fingerprint; None where that cannot be told.

    Args:
        target: the output.
        fingerprint: that of :func:`fingerprint_of`.

    Raises:
        StorageError: remote, and cannot be read.
    """
    if fingerprint is None:
        return None
    try:
        with closing(open_video(target)) as container:
            tag = find_tag(container, pick_stream(container, target))
    except SourceError:  # it is no video, so not this one
        return False
    found = None if tag is None else fingerprint_in(tag)
    return None if found is None else found == fingerprint


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
    end = _END_BYTES if isinstance(source, Path) else _FEW_BYTES
    return {
        "path": str(source.resolve()),
        "bytes": facts.st_size,
        "modified_ns": facts.st_mtime_ns,
        "sha256_of_ends": _hash_of_ends(source, facts.st_size, end),
        **tag,
    }


def _hash_of_ends(source: Location, size: int, end: int) -> str:
    digest = hashlib.sha256()
    with source.open("rb") as file:
        digest.update(file.read(end))
        if size >= end:
            file.seek(size - end)
        digest.update(file.read())
    return digest.hexdigest()
