"""Where a text matches a query: spans for programs, fragments for people."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Collection, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any, TypedDict

from twopass.retriever.query.analyzed import Phrase

if TYPE_CHECKING:
    from twopass.retriever.analysis import Analyzer, Token

__all__ = [
    "Fragment",
    "HighlightOptions",
    "Match",
    "best_fragments",
    "highlight",
    "spans",
]


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


class HighlightOptions(TypedDict, total=False):
    """What :func:`highlight` takes beside a text, terms and their weights."""

    fragment_size: int
    number_of_fragments: int
    pre: str
    post: str
    html: bool


def spans(text: str, terms: Collection[str | Phrase], analyzer: Analyzer) -> list[tuple[int, int]]:
    """Find the parts of a text that match.

    Args:
        text: what is shown.
        terms: analysed terms, as ``analyzer.terms(query)`` gives them, and phrases.
        analyzer: the analyser of the index.

    Returns:
        (start, end) in characters, ascending, end excluded; parts that touch or overlap (as the
        bigrams of a Chinese word do) are one.

    """
    return _merged(_matches(_placed(text, analyzer), terms))


def highlight(
    text: str,
    terms: Collection[str | Phrase],
    analyzer: Analyzer,
    *,
    fragment_size: int = 150,
    number_of_fragments: int = 3,
    pre: str = "<em>",
    post: str = "</em>",
    html: bool = False,
    weights: Mapping[str | Phrase, float] | None = None,
) -> list[str]:
    """Cut out the fragments of a text that show best how it matches, the matches marked.

    A fragment begins with a sentence, or with a word where that is too far from the match. The
    fragments with the most distinct terms are chosen, each term counted by its weight.

    Args:
        text: what is shown.
        terms: analysed terms, as ``analyzer.terms(query)`` gives them, and phrases, whose words
            are marked only where they stand together.
        analyzer: the analyser of the index.
        fragment_size: characters of a fragment at most, the marks not counted; a single word that
            is longer is shown whole.
        number_of_fragments: how many at most.
        pre: mark before each match.
        post: mark after each match.
        html: escape the text (not the marks), for a page.
        weights: what each term or phrase counts, such as its idf; 1 where absent.

    Returns:
        The fragments in the order of the text; none where nothing matches.

    Raises:
        ValueError: when ``fragment_size`` or ``number_of_fragments`` is below 1.

    """
    if fragment_size < 1 or number_of_fragments < 1:
        raise ValueError(
            "expected fragment_size and number_of_fragments of at least 1, found "
            f"{fragment_size} and {number_of_fragments}"
        )
    tokens = _placed(text, analyzer)
    matches = _matches(tokens, terms)
    fragments = best_fragments(
        text,
        tokens,
        matches,
        size=fragment_size,
        number=number_of_fragments,
        weights=weights or {},
    )
    marks = _merged(matches)
    render = escape if html else str
    return [_marked(text, fragment, marks, pre, post, render) for fragment in fragments]


def _placed(text: str, analyzer: Analyzer) -> list[Token]:
    # An analyser made from a function may not know where its terms stand.
    return [token for token in analyzer.tokens(text) if token.end > token.start]


def _matches(tokens: Sequence[Token], terms: Collection[str | Phrase]) -> list[Match]:
    words = {term for term in terms if isinstance(term, str)}
    found = [Match(token.start, token.end, token.term) for token in tokens if token.term in words]
    for phrase in terms:
        if isinstance(phrase, Phrase):
            found += [Match(token.start, token.end, phrase) for token in phrase.matches(tokens)]
    return sorted(found, key=lambda match: match.start)


def _merged(matches: Sequence[Match]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for match in matches:
        if merged and match.start <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(match.end, merged[-1][1])
        else:
            merged.append((match.start, match.end))
    return merged


def _marked(
    text: str,
    fragment: Fragment,
    marks: Sequence[tuple[int, int]],
    pre: str,
    post: str,
    render: Callable[[str], str],
) -> str:
    """Return the fragment's text with the marks that begin in it."""
    parts = []
    position = fragment.start
    for start, end in marks:
        if fragment.start < end and start < fragment.end:
            start, end = max(start, fragment.start), min(end, fragment.end)
            parts += [render(text[position:start]), pre, render(text[start:end]), post]
            position = end
    return "".join([*parts, render(text[position : fragment.end])])
