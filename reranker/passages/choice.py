"""Which passages of a document are worth reading: BM25 among the document's own passages.

The terms are the model's own token ids, so that nothing is analysed twice. The statistics are those
of the one document: a score never depends on what else is scored at the same time.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["best_passages", "bm25"]

_K1, _B = 1.2, 0.75


def bm25(
    query: NDArray[np.int32], document: NDArray[np.int32], windows: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return (p,) float64: how well each window of a document answers a query by its terms.

    Lucene's formula (Kamphuis et al. 2020, "Which BM25 do you mean?", the accurate variant):
    the sum over the query's distinct terms of ln(1 + (p - n + 0.5) / (n + 0.5)) * tf /
    (tf + k1 * (1 - b + b * length / mean length)), where n of the p windows have the term.

    Args:
        query: (q,) int32 token ids.
        document: (t,) int32 token ids.
        windows: (p, 2) int64: first token of each window and the one behind its last.

    """
    terms = np.unique(query)
    places = np.flatnonzero(np.isin(document, terms))
    term_of = np.searchsorted(terms, document[places])
    edges = np.searchsorted(places, windows)
    counts = np.array(
        [np.bincount(term_of[first:last], minlength=len(terms)) for first, last in edges],
        dtype=np.float64,
    )  # (p, terms)
    having = (counts > 0).sum(axis=0)
    idf = np.log1p((len(windows) - having + 0.5) / (having + 0.5))
    lengths = np.diff(windows, axis=1).astype(np.float64)  # (p, 1)
    norm = _K1 * (1 - _B + _B * lengths / max(lengths.mean(), 1.0))
    scores: NDArray[np.float64] = (idf * counts / (counts + norm)).sum(axis=1)
    return scores


def best_passages(
    query: NDArray[np.int32],
    document: NDArray[np.int32],
    windows: NDArray[np.int64],
    budget: int | None,
) -> NDArray[np.int64]:
    """Return the windows to read, the most promising first, (m,) int64 with m <= budget.

    Equally promising ones come in the document's order, so that a document which shares no term
    with the query is read from its beginning. ``None`` is no limit.
    """
    order = np.argsort(-bm25(query, document, windows), kind="stable")
    return order[:budget]
