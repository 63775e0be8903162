"""Where a text matches a query: spans for programs, fragments for people."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from html import escape
from itertools import islice
from typing import TYPE_CHECKING, Any, TypedDict

from twopass.retriever.query.analyzed import Phrase, Places
from twopass.retriever.query.borders import Borders

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


_UNIT = 1 << 40  # of a weight


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

    The time is that of sorting the matches, whatever the size and the number.

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
    if not matches:
        return []
    cut = _Cutter(text, tokens, size)
    # The first kind of fragment shows what stands before a match too; the second most of what
    # follows, where that is worth more. Of each kind the next fragment lies behind the last.
    kinds = [(begin, _Window(matches, weights)) for begin in (cut.begin, lambda m: m.start)]
    found = []
    for match in matches:
        for begin, window in kinds:
            start = begin(match)
            end = cut.end(match, start + size)
            found.append(Fragment(start, end, window.weight(start, end)))
    found.sort(key=lambda fragment: (-fragment.weight, fragment.start))
    return _apart(found, number)


class _Cutter:
    """Says where the fragment around a match begins and ends.

    Args:
        text: the text.
        tokens: its tokens, ascending by start.
        size: characters of a fragment at most.

    """

    def __init__(self, text: str, tokens: Sequence[Token], size: int) -> None:
        self._text = text
        self._tokens = tokens
        self._starts = [token.start for token in tokens]
        self._size = size
        self._borders = Borders(text)

    def begin(self, match: Match) -> int:
        """Return the last sentence, or else a word, that begins near enough to show it whole."""
        floor = max(0, min(match.start, match.end - self._size))
        sentence = self._borders.sentence_before(floor, match.start)
        if sentence is not None or floor == 0:
            return sentence or 0
        # Within a long sentence: half of the room for what stands before the match.
        floor = max(floor, match.start - self._size // 2)
        word = self._borders.word_after(floor, match.start)
        return self._starts[bisect_left(self._starts, floor)] if word is None else word

    def end(self, match: Match, limit: int) -> int:
        """Return the last sentence, or else word, that ends before the limit, after the match."""
        if limit >= len(self._text):
            return self._last
        half = max(match.end, (match.start + limit) // 2)
        sentence = self._borders.sentence_end(half, limit)
        if sentence is not None:
            return max(match.end, sentence)
        word = self._borders.word_end(match.end, limit + 1)
        if word is not None:
            return word
        last = bisect_right(self._starts, limit) - 1
        ends = [t.end for t in self._tokens[max(0, last - 1) : last + 1] if t.end <= limit]
        return max([match.end, *ends])

    @cached_property
    def _last(self) -> int:
        return len(self._text.rstrip())


class _Window:
    """What is shown between two places; cheap where the next two lie not far behind.

    Args:
        matches: ascending by start.
        weights: weight of each key; 1 where absent.

    """

    def __init__(self, matches: Sequence[Match], weights: Mapping[Any, float]) -> None:
        self._weights = weights
        self._started = [(match.start, match.key) for match in matches]
        by_end = sorted(matches, key=lambda match: match.end)
        self._ended = [(match.end, match.key) for match in by_end]
        self._before = self._upto = 0  # how many begin before the window, how many end by its end
        self._counts: defaultdict[Hashable, int] = defaultdict(int)
        self._total = 0  # in whole numbers, so that adding and taking away leaves nothing behind

    def weight(self, start: int, end: int) -> float:
        """Return the weight of the distinct keys that lie between ``start`` and ``end``."""
        while self._upto < len(self._ended) and self._ended[self._upto][0] <= end:
            self._count(self._ended[self._upto][1], 1)
            self._upto += 1
        while self._upto and self._ended[self._upto - 1][0] > end:
            self._upto -= 1
            self._count(self._ended[self._upto][1], -1)
        while self._before < len(self._started) and self._started[self._before][0] < start:
            self._count(self._started[self._before][1], -1)
            self._before += 1
        while self._before and self._started[self._before - 1][0] >= start:
            self._before -= 1
            self._count(self._started[self._before][1], 1)
        return self._total / _UNIT

    def _count(self, key: Hashable, change: int) -> None:
        before = self._counts[key]
        self._counts[key] = before + change
        if (before > 0) != (before + change > 0):
            self._total += change * round(self._weights.get(key, 1.0) * _UNIT)


def _apart(fragments: Sequence[Fragment], number: int) -> list[Fragment]:
    """Return the first of some fragments that do not overlap, in the order of the text."""
    chosen: list[Fragment] = []
    for fragment in fragments:
        if len(chosen) == number:
            break
        at = bisect_left(chosen, fragment.start, key=lambda each: each.start)
        free = at == len(chosen) or fragment.end <= chosen[at].start
        if free and (at == 0 or chosen[at - 1].end <= fragment.start):
            chosen.insert(at, fragment)
    return chosen


_MOST_CHARACTERS = 1_000_000  # analysed; as Elasticsearch's max_analyzed_offset
_MOST_IN_PHRASES = 500_000  # tokens, of all phrases: each of many phrases may be everywhere


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
    fragments with the most distinct terms are chosen, each term counted by its weight. Read are
    the first 1,000,000 characters.

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
    text = text[:_MOST_CHARACTERS]
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
    phrases = [term for term in terms if isinstance(term, Phrase)]
    if phrases:
        places = Places(tokens)
        shown = ((token, each) for each in phrases for token in each.matches(places))
        found += [Match(t.start, t.end, each) for t, each in islice(shown, _MOST_IN_PHRASES)]
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
    first = bisect_right(marks, fragment.start, key=lambda mark: mark[1])
    last = bisect_left(marks, fragment.end, key=lambda mark: mark[0])
    for start, end in marks[first:last]:
        start, end = max(start, fragment.start), min(end, fragment.end)
        parts += [render(text[position:start]), pre, render(text[start:end]), post]
        position = end
    return "".join([*parts, render(text[position : fragment.end])])
