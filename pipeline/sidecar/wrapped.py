"""What a scorer says of itself, or the one that it wraps, however deep."""

from __future__ import annotations

from typing import Any

__all__ = ["find"]

_INSIDE = ("_scorer", "_costly")  # what wraps one scorer, and the cascade's last


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
