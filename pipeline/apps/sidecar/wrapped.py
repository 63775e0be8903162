"""What a scorer says of itself, or the ones that it wraps, however deep."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

__all__ = ["find", "walk"]

_INSIDE = ("_scorer", "_costly")  # what wraps one scorer, and the cascade's last
_LINKS = "_made"  # a chain's scorers by name, those that were needed until now


def find(scorer: object, name: str) -> Any:
    """Return the attribute of the outermost scorer that has it, or None."""
    seen: set[int] = set()
    while scorer is not None and id(scorer) not in seen:
        if hasattr(scorer, name):
            return getattr(scorer, name)
        seen.add(id(scorer))
        scorer = next(
            (getattr(scorer, inside, None) for inside in _INSIDE if hasattr(scorer, inside)), None
        )
    return None


def walk(scorer: object) -> Iterator[object]:
    """Yield a scorer and all that it wraps, also a chain's, each once."""
    seen: set[int] = set()
    waiting = [scorer]
    while waiting:
        each = waiting.pop()
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        waiting += [getattr(each, inside, None) for inside in _INSIDE]
        waiting += dict(getattr(each, _LINKS, {})).values()
