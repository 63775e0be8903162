"""What a caller hands over, checked: pairs of two strings each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from twopass.reranker.contract.errors import InputError

__all__ = ["check_pairs", "check_unicode", "is_single"]

_PARTS = ("query", "document")


def is_single(pairs: Any) -> bool:
    """Say whether this is one pair rather than a list of pairs."""
    return isinstance(pairs, list | tuple) and len(pairs) > 0 and isinstance(pairs[0], str)


def check_pairs(pairs: Iterable[Any]) -> list[tuple[str, str]]:
    """Return the pairs as tuples.

    Raises:
        InputError: when one is not two strings; it names the pair's position.

    """
    if isinstance(pairs, str) or not isinstance(pairs, Iterable):
        raise InputError(f"expected a list of (query, document) pairs, found {_shown(pairs)}")
    return [_pair(pair, position) for position, pair in enumerate(pairs)]


def check_unicode(pairs: Sequence[tuple[str, str]], first: int = 0) -> None:
    """Look for a text that is no valid Unicode; ``first`` is the first pair's number.

    Raises:
        InputError: when there is one; it names the pair's position and the character's.

    """
    for position, pair in enumerate(pairs, first):
        for part, text in zip(_PARTS, pair, strict=True):
            try:
                text.encode("utf-8")
            except UnicodeEncodeError as error:
                raise InputError(
                    f"pair {position}, {part}: expected valid Unicode, found the unpaired "
                    f"surrogate {text[error.start]!r} at character {error.start}; "
                    "decode the source with errors='replace'"
                ) from error


def _pair(pair: Any, position: int) -> tuple[str, str]:
    try:
        query, document = pair
    except (TypeError, ValueError):
        raise InputError(
            f"pair {position}: expected (query, document), found {_shown(pair)}"
        ) from None
    if isinstance(pair, str):
        raise InputError(f"pair {position}: expected (query, document), found {_shown(pair)}")
    for part, text in zip(_PARTS, (query, document), strict=True):
        if not isinstance(text, str):
            raise InputError(f"pair {position}, {part}: expected a string, found {_shown(text)}")
    return query, document


def _shown(value: Any) -> str:
    size = f" of {len(value)} items" if isinstance(value, list | tuple) else ""
    return f"{type(value).__name__}{size} {value!r:.80}"
