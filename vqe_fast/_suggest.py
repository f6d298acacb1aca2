"""Suggestions for a name that there is not: those that are spelled nearly so."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches


def did_you_mean(name: str, known: Iterable[str], also: Mapping[str, str] | None = None) -> str:
    """Part of a sentence, ``did you mean A, B or C? ``; empty if nothing is near.

    Args:
        name: what was given.
        known: the names that there are.
        also: what else they are called → the name.
    """
    spelled = _plain(name)
    names = {_plain(each): each for each in known}
    others = {_plain(each): name for each, name in (also or {}).items()}
    if spelled in others:
        return f"did you mean {others[spelled]}? "
    near = [names[each] for each in get_close_matches(spelled, names, cutoff=0.5)]
    if not near:
        return ""
    *first, last = near
    return f"did you mean {', '.join(first)}{' or ' if first else ''}{last}? "


def _plain(name: str) -> str:
    return "".join(each for each in name.lower() if each.isalnum())
