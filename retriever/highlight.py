"""Where a text matches a query: spans for those who render, fragments for those who read."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, TypedDict

from retriever.fragments import Fragment, Match, best_fragments
from retriever.phrases import Phrase

if TYPE_CHECKING:
    from retriever.analysis import Analyzer, Token

__all__ = ["HighlightOptions", "highlight", "spans"]


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
