"""Documents -> term ids, with fields that count more than others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twopass.retriever.analysis import Analyzer
from twopass.retriever.corpus.documents import Document
from twopass.retriever.errors import ScoringError

__all__ = ["DocumentEncoder", "FieldWeights"]


@dataclass(frozen=True, slots=True)
class FieldWeights:
    """How often each field of a document counts: BM25F with one length normalisation.

    Robertson, Zaragoza & Taylor, Simple BM25 Extension to Multiple Weighted Fields (2004): a
    document is scored as if each field stood in it as often as its weight says::

        tf = sum of weight * tf in the field
        length = sum of weight * length of the field

    Elasticsearch's ``combined_fields`` query is the same formula, with a df that is the highest of
    the fields' where this one counts the documents that have the term in any. A phrase's
    occurrences count once, whichever field they are in.

    Attributes:
        title: of the title, from 1 to 100.
        text: of the text, from 1 to 100.

    Raises:
        ScoringError: when a weight is no whole number in that range.

    """

    title: int = 1
    text: int = 1

    def __post_init__(self) -> None:
        for name in ("title", "text"):
            weight = getattr(self, name)
            if isinstance(weight, bool) or not isinstance(weight, int) or not 1 <= weight <= 100:
                raise ScoringError(
                    f"weight of {name!r}: expected a whole number from 1 to 100, found {weight!r}"
                )

    def weighted(self, document: Document) -> str:
        """Return a document as it is to be analysed."""
        if self.title == self.text == 1 or not document.title:
            return "\n".join([document.contents] * self.text)
        return "\n".join([document.title] * self.title + [document.text] * self.text)


class DocumentEncoder:
    """Turns documents into the ids of their terms.

    Args:
        analyzer: text -> terms.
        weights: how often each field counts.
        threads: for the analysis.

    """

    def __init__(self, analyzer: Analyzer, weights: FieldWeights, *, threads: int = 1) -> None:
        self._encoder = analyzer.encoder(threads=threads)
        self._weights = weights

    @property
    def vocabulary(self) -> Sequence[str]:
        """Every term met so far; a term's id is its place."""
        return self._encoder.vocabulary

    def encode(self, documents: Sequence[Document]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """Analyse (n,) documents.

        Returns:
            (t,) int32, the term ids of all documents one after the other;
            (n + 1,) int64, where each document's ids begin, and the end.

        """
        if self._weights == FieldWeights():  # as ``weighted`` gives them, without a call for each
            texts = [f"{d.title}\n{d.text}" if d.title else d.text for d in documents]
        else:
            texts = [self._weights.weighted(each) for each in documents]
        return self._encoder.encode(texts)
