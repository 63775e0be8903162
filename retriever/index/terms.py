"""Terms of a collection.

Their statistics, and the documents of a segment that contain all of some terms.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from twopass.retriever.index.postings import Postings
from twopass.retriever.index.segment import Segment
from twopass.retriever.scoring import Scoring

__all__ = [
    "Lexicon",
    "TermStatistics",
    "conjunction",
    "documents",
    "frequencies",
]


_REMEMBERED = 1 << 16


class TermStatistics(NamedTuple):
    """What a collection knows of one term.

    Attributes:
        df: in how many living documents it stands.
        idf: its weight; 0 where it stands in none.
        numbers: (s,) its number in each segment, -1 where it is not.

    """

    df: int
    idf: float
    numbers: tuple[int, ...]


class Lexicon:
    """The terms of some segments; each is looked up once and then remembered.

    Args:
        segments: (s,) of one commit.
        scoring: the formula.
        n_docs: N of the formula.

    """

    def __init__(self, segments: Sequence[Segment], scoring: Scoring, n_docs: int) -> None:
        self._segments = segments
        self._scoring = scoring
        self._n_docs = n_docs
        self._known: dict[str, TermStatistics] = {}

    def statistics(self, terms: Iterable[str]) -> Mapping[str, TermStatistics]:
        """Return what is known of analysed terms, and maybe of others."""
        wanted = dict.fromkeys(terms)
        known = self._known
        new = [term for term in wanted if term not in known]
        if new and len(known) + len(new) > _REMEMBERED:
            self._known = known = {}  # another thread may still read the old one
            new = list(wanted)
        if new:
            known.update(self._look_up(new))
        return known

    @property
    def n_segments(self) -> int:
        """How many segments: s."""
        return len(self._segments)

    def _look_up(self, terms: Sequence[str]) -> dict[str, TermStatistics]:
        numbers = [tuple(segment.terms.find(term) for segment in self._segments) for term in terms]
        dfs = np.array([self._df(each) for each in numbers], np.int64)
        idfs = np.zeros(len(dfs))
        there = dfs > 0
        idfs[there] = self._scoring.idf(dfs[there], self._n_docs, floor=self._floor)
        columns = zip(dfs.tolist(), idfs.tolist(), numbers, strict=True)
        return {
            term: TermStatistics(*statistics)
            for term, statistics in zip(terms, columns, strict=True)
        }

    def _df(self, numbers: tuple[int, ...]) -> int:
        found = zip(self._segments, numbers, strict=True)
        return sum(segment.df(number) for segment, number in found if number >= 0)

    @cached_property
    def _floor(self) -> float | None:
        if self._scoring.floor(np.ones(1), 1) is None:  # a formula without one reads no df
            return None
        dfs: dict[str, int] = {}
        for segment in self._segments:
            for term, df in zip(segment.terms, segment.dfs().tolist(), strict=True):
                dfs[term] = dfs.get(term, 0) + df
        living = np.array([df for df in dfs.values() if df], np.int64)
        return self._scoring.floor(living, self._n_docs)


def documents(postings: Postings, term: int) -> NDArray[np.int32]:
    """Return the documents that have a term, ascending: (m,) int32."""
    return postings.docs[postings.starts[term] : postings.starts[term + 1]]


def conjunction(postings: Postings, terms: Sequence[int]) -> NDArray[np.int32]:
    """Return the documents that have every one of at least one term, ascending: (m,) int32.

    The shortest list is looked up in the longer ones by binary search.
    """
    lists = sorted((documents(postings, term) for term in set(terms)), key=len)
    common = lists[0]
    for docs in lists[1:]:
        common = common[_places(docs, common)[1]]
    return common


def frequencies(postings: Postings, term: int, docs: NDArray[np.int32]) -> NDArray[np.int32]:
    """Return how often a term stands in each of these (m,) documents: (m,) int32, 0 for never."""
    places, found = _places(documents(postings, term), docs)
    codes = postings.codes[postings.starts[term] + places[found]]
    tfs = np.zeros(len(docs), np.int32)
    tfs[found] = postings.pair_tfs[codes]
    return tfs


def _places(
    docs: NDArray[np.int32], wanted: NDArray[np.int32]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return where each wanted document would stand in the sorted ones, and whether it does."""
    places = docs.searchsorted(wanted)
    found = places < len(docs)
    found[found] = docs[places[found]] == wanted[found]
    return places, found
