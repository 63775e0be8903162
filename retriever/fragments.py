"""Which parts of a text to show: fragments around its matches, on sentence and word borders."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from retriever.analysis import Token

__all__ = ["Fragment", "Match", "best_fragments"]

# Where one sentence ends and the next begins: a full stop needs white space after it, as it also
# stands in numbers and names; the full stops of Chinese and Japanese do not.
_SENTENCE = re.compile(r"[.!?…؟۔।]+[\"'”’»)\]]*\s+|[。！？｡]+[」』）”’]*\s*|\n\s*")
_SPACE = re.compile(r"\s+")


@dataclass(frozen=True, slots=True)
class Match:
    """Characters ``start`` to ``end`` of a text, and the term or phrase that they match."""

    start: int
    end: int
    key: Hashable


@dataclass(frozen=True, slots=True)
class Fragment:
    """Characters ``start`` to ``end`` of a text, and how well they show that it matches."""

    start: int
    end: int
    weight: float


def best_fragments(
    text: str,
    tokens: Sequence[Token],
    matches: Sequence[Match],
    *,
    size: int,
    number: int,
    weights: Mapping[Any, float],
) -> list[Fragment]:
    """Choose fragments that do not overlap, by the weight of the distinct keys that they show.

    Args:
        text: the text.
        tokens: the text's tokens, ascending by start.
        matches: those that match, ascending by start.
        size: characters of a fragment at most; one match that is longer is shown whole.
        number: how many fragments at most.
        weights: weight of each key; 1 where absent.

    Returns:
        Fragments in the order of the text.

    """
    starts = [token.start for token in tokens]
    begins = [match.start for match in matches]
    found = []
    for match, start in _openings(text, starts, matches, size):
        end = _end(text, tokens, starts, match, start + size)
        inside = matches[bisect_left(begins, start) : bisect_right(begins, end)]
        keys = {m.key for m in inside if m.end <= end}
        found.append(Fragment(start, end, sum(weights.get(key, 1.0) for key in keys)))
    found.sort(key=lambda fragment: (-fragment.weight, fragment.start))
    return _apart(found, number)


def _openings(
    text: str, starts: Sequence[int], matches: Sequence[Match], size: int
) -> Iterator[tuple[Match, int]]:
    for match in matches:
        yield match, _begin(text, starts, match, size)
        yield match, match.start  # shows most of what follows, where that is worth more


def _begin(text: str, starts: Sequence[int], match: Match, size: int) -> int:
    """Find the last sentence, or else a word, that begins near enough to show the match whole."""
    floor = max(0, min(match.start, match.end - size))
    sentences = [m.end() for m in _SENTENCE.finditer(text, floor, match.start)]
    if sentences or floor == 0:
        return sentences[-1] if sentences else 0
    # Within a long sentence: half of the room for what stands before the match.
    floor = max(floor, match.start - size // 2)
    space = _SPACE.search(text, floor, match.start)
    return space.end() if space else starts[bisect_left(starts, floor)]


def _end(
    text: str, tokens: Sequence[Token], starts: Sequence[int], match: Match, limit: int
) -> int:
    """Find the last sentence, or else word, that ends before the limit and after the match."""
    if limit >= len(text):
        return len(text.rstrip())
    half = max(match.end, (match.start + limit) // 2)
    sentences = [m.end() for m in _SENTENCE.finditer(text, half, limit)]
    if sentences:
        return match.end + len(text[match.end : sentences[-1]].rstrip())
    spaces = [m.start() for m in _SPACE.finditer(text, match.end, limit + 1)]
    if spaces:
        return spaces[-1]
    last = bisect_right(starts, limit) - 1
    ends = [t.end for t in tokens[max(0, last - 1) : last + 1] if t.end <= limit]
    return max([match.end, *ends])


def _apart(fragments: Sequence[Fragment], number: int) -> list[Fragment]:
    chosen: list[Fragment] = []
    for fragment in fragments:
        if len(chosen) == number:
            break
        if all(fragment.end <= c.start or c.end <= fragment.start for c in chosen):
            chosen.append(fragment)
    return sorted(chosen, key=lambda fragment: fragment.start)
