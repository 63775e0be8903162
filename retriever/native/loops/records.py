"""What loops take together: named tuples of arrays; in a declaration, of dtypes."""

from __future__ import annotations

from typing import Any, NamedTuple

__all__ = ["Lists", "Plan", "Queries", "Top", "Work"]


class Lists(NamedTuple):
    """A segment's postings; see ``retriever.bm25.postings.Postings``."""

    starts: Any
    docs: Any
    codes: Any
    frontier_starts: Any
    frontier_codes: Any
    column_terms: Any
    columns: Any
    n_docs: Any


class Queries(NamedTuple):
    """The terms of q queries, one after another; see ``retriever.bm25.batch.Batch``."""

    terms: Any
    weights: Any
    offsets: Any


class Work(NamedTuple):
    """What a search writes to: see ``retriever.bm25.kernels.Scratch``.

    ``scores`` (n,) has a document's sum so far, 0 where nothing was added; ``candidates`` (n + 1,)
    begins with the documents of which a sum is kept. ``scores`` and ``seen`` are all zeros before
    and after. The others have a place for each term of a query, ``rest`` one more, and ``counts``
    some hundreds.
    """

    scores: Any
    candidates: Any
    seen: Any
    weights: Any
    begins: Any
    ends: Any
    columns: Any
    rest: Any
    counts: Any


class Plan(NamedTuple):
    """A query's terms that a segment has, in the order in which they are added: (m,) each.

    ``begins`` and ``ends`` say which postings are theirs, and ``begins`` moves on with the windows;
    ``columns`` where each one's column starts, -1 for a term without; ``rest`` (m + 1,) bounds
    what the terms from each on can add.
    """

    weights: Any
    begins: Any
    ends: Any
    columns: Any
    rest: Any


class Top(NamedTuple):
    """The best k documents of each of q queries so far, as heaps: (q * k,), (q * k,) and (q,)."""

    docs: Any
    scores: Any
    sizes: Any
