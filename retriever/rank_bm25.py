"""The rank-bm25 library as a retriever: the reference, for small corpora.

It scores every document at every query, in time proportional to the corpus.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from twopass.retriever.analysis import get_analyzer
from twopass.retriever.corpus.documents import Document, check_documents
from twopass.retriever.errors import DuplicateIdError, QueryError, ScoringError
from twopass.retriever.filters.base import Filter, check_fields, field_values, matches
from twopass.retriever.hits import Hits
from twopass.retriever.scoring import formula

__all__ = ["RankBM25Retriever"]

_CLASSES = {"okapi": "BM25Okapi", "l": "BM25L", "plus": "BM25Plus"}


class RankBM25Retriever:
    """Searches documents in memory by the library's Okapi, L or Plus.

    As everywhere in this package, only documents that share a term with the query are found,
    though the library's Plus gives all others a score too.

    Args:
        documents: the corpus, each id once.
        variant: which of the library's formulas.
        analyzer: text -> terms, by name or as a function.
        parameters: the formula's: ``k1``, ``b``, and ``epsilon`` (okapi) or ``delta`` (l, plus).

    Raises:
        ScoringError: when there is no such formula, parameter or value.
        AnalysisError: when there is no such analyser.
        DuplicateIdError: when an id comes twice.

    """

    def __init__(
        self,
        documents: Iterable[Document],
        *,
        variant: Literal["okapi", "l", "plus"] = "okapi",
        analyzer: str | Callable[[str], list[str]] = "english",
        **parameters: float,
    ) -> None:
        if variant not in _CLASSES:
            raise ScoringError(f"variant: expected one of {', '.join(_CLASSES)}, found {variant!r}")
        formula(variant, **parameters)  # checks them
        self._terms = get_analyzer(analyzer).terms if isinstance(analyzer, str) else analyzer
        self._documents = list(documents)
        _check_unique(self._documents)
        corpus = [self._terms(document.contents) for document in self._documents]
        self._fields = {
            field for document in self._documents for field, _ in field_values(document.metadata)
        }
        self._postings = _postings(corpus)
        self._library: Any = None
        if self._postings:  # the library divides by the number of words
            import rank_bm25

            self._library = getattr(rank_bm25, _CLASSES[variant])(corpus, **parameters)

    def search(self, queries: Sequence[str], k: int, *, filter: Filter | None = None) -> list[Hits]:
        """Return the best ``k`` documents of each query, as every ``Retriever`` does."""
        if k < 1:
            raise QueryError(f"k: expected at least 1, found {k}")
        if filter is not None and self._documents:
            check_fields(filter, self._fields)
        allowed = np.array(
            [filter is None or matches(filter, each.metadata) for each in self._documents], np.bool_
        )
        return [self._search(query, k, allowed) for query in queries]

    def _search(self, query: str, k: int, allowed: NDArray[np.bool_]) -> Hits:
        terms = [term for term in self._terms(query) if term in self._postings]
        if not terms:
            return Hits.empty()
        docs = np.unique(np.concatenate([self._postings[term] for term in terms]))
        docs = docs[allowed[docs]]
        scores = np.asarray(self._library.get_scores(terms), dtype=np.float32)[docs]
        best = np.argsort(-scores, kind="stable")[:k]
        found = [self._documents[i] for i in docs[best]]
        return Hits.of([d.id for d in found], scores[best], [d.contents for d in found])


def _check_unique(documents: Iterable[Document]) -> None:
    seen = set()
    for document in check_documents(documents):
        if document.id in seen:
            raise DuplicateIdError(f"expected each id once, found {document.id!r} twice")
        seen.add(document.id)


def _postings(corpus: Iterable[Iterable[str]]) -> dict[str, list[int]]:
    """Return each term's documents, ascending."""
    postings: dict[str, list[int]] = {}
    for doc, terms in enumerate(corpus):
        for term in dict.fromkeys(terms):
            postings.setdefault(term, []).append(doc)
    return postings
