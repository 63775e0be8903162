"""Relevant documents that the first stage missed, put behind what it found."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from pipeline.errors import EvaluationError
from pipeline.evaluation.measures import Qrels
from retriever.base import Retriever
from retriever.documents import Document
from retriever.filters import Filter
from retriever.hits import Hits

__all__ = ["Completed", "missed_texts"]


class Completed:
    """A first stage whose hits are followed by the relevant documents that it missed.

    They get the score of its last hit, 0 where it has none. sentence-transformers' evaluator adds
    them by default (``always_rerank_positives``), which tells more of a reranker and less of a
    search. It is for one pass over the judged queries, in their order.

    Args:
        retriever: the first stage.
        qrels: the judgements, in the order in which their queries will be searched.
        depth: how many of the first stage's own hits there are at most.
        texts: of the relevant documents, by id.

    Attributes:
        own: how many hits of each query so far are the first stage's own.

    """

    def __init__(
        self, retriever: Retriever, qrels: Qrels, depth: int, texts: Mapping[str, str]
    ) -> None:
        self._retriever = retriever
        self._depth = depth
        self._waiting = iter(qrels.items())
        self._texts = texts
        self.own: dict[str, int] = {}

    def search(self, queries: Sequence[str], k: int, *, filter: Filter | None = None) -> list[Hits]:
        """Return the first stage's hits of each query and what they miss, ``k`` at most."""
        found = self._retriever.search(queries, min(k, self._depth), filter=filter)
        return [self._completed(*next(self._waiting), hits) for hits in found]

    def _completed(self, query: str, judged: Mapping[str, int], hits: Hits) -> Hits:
        self.own[query] = len(hits)
        known = set(hits.ids)
        missed = [id for id, grade in judged.items() if grade > 0 and id not in known]
        if not missed:
            return hits
        least = float(hits.scores[-1]) if len(hits) else 0.0
        return Hits.of(
            [*hits.ids, *missed],
            np.concatenate([hits.scores, np.full(len(missed), least, dtype=np.float32)]),
            [*hits.texts, *(self._texts[id] for id in missed)],
        )


def missed_texts(documents: Iterable[Document], qrels: Qrels) -> dict[str, str]:
    """Find the texts of all relevant documents in a corpus, read as a stream.

    Raises:
        EvaluationError: when one is not there.

    """
    wanted = {id for judged in qrels.values() for id, grade in judged.items() if grade > 0}
    texts = {document.id: document.contents for document in documents if document.id in wanted}
    if missing := sorted(wanted - texts.keys()):
        raise EvaluationError(
            f"expected every relevant document in the corpus, found none for {len(missing)} of "
            f"{len(wanted)}, for example {missing[0]!r}"
        )
    return texts
