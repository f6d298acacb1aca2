"""Overrides of values in a YAML file, as the command line gives them: ``key=value``."""

from __future__ import annotations

from typing import Any

import yaml


def apply_change(content: Any, change: str) -> None:
    """Applies one override; a key that is not there is added.

    Args:
        content: what the file holds.
        change: ``key=value`` with dots in the key for what lies deeper and numbers for members of
            lists, such as ``stages.0.optimiser.rate=1e-4``; the value is YAML.

    Raises:
        ValueError: it is not a change, or leads nowhere.
    """
    key, equals, value = change.partition("=")
    if not equals:
        raise ValueError(f"a change must be key=value, got {change!r}")
    *path, last = key.split(".")
    place = content
    for part in path:
        if isinstance(place, list):
            place = place[_index(place, part, key)]
        elif isinstance(place, dict):
            place = place.setdefault(part, {})
        else:
            raise ValueError(f"{key} does not lead anywhere in the file")
    if isinstance(place, list):
        place[_index(place, last, key)] = _value(value)
    elif isinstance(place, dict):
        place[last] = _value(value)
    else:
        raise ValueError(f"{key} does not lead anywhere in the file")


def _index(members: list[Any], part: str, key: str) -> int:
    if not part.isdigit() or int(part) >= len(members):
        raise ValueError(f"{part!r} in {key} must be a number below {len(members)}")
    return int(part)


def _value(text: str) -> Any:
    """A YAML value; YAML itself takes 1e-4 for a word."""
    try:
        return float(text) if "e" in text.lower() else yaml.safe_load(text)
    except ValueError:
        return yaml.safe_load(text)
