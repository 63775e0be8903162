"""Which documents of a segment have certain terms: set operations on sorted posting lists."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from retriever.bm25.postings import Postings

__all__ = ["conjunction", "documents", "frequencies"]


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
