"""Fields that count more: BM25F, written out."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from twopass.retriever.corpus.documents import Document
from twopass.retriever.errors import ScoringError
from twopass.retriever.index.fields import FieldWeights
from twopass.retriever.index.index import BM25Index

RNG = np.random.default_rng(8)
DOCUMENTS = [
    Document(
        f"d{i}",
        " ".join(f"w{w}" for w in RNG.zipf(1.5, 20) if w < 50),
        title=" ".join(f"w{w}" for w in RNG.zipf(1.5, 3) if w < 50),
    )
    for i in range(200)
]


def bm25f(query: str, weights: FieldWeights) -> dict[str, float]:
    """Robertson, Zaragoza & Taylor (2004), with Lucene's idf and k1 1.2, b 0.75."""
    fields = {
        d.id: [(weights.title, d.title.split()), (weights.text, d.text.split())] for d in DOCUMENTS
    }
    length = {id: sum(w * len(terms) for w, terms in each) for id, each in fields.items()}
    living = [id for id, size in length.items() if size]
    average = sum(length.values()) / len(living)
    scores: dict[str, float] = {}
    for term in query.split():
        tfs = {id: sum(w * terms.count(term) for w, terms in fields[id]) for id in living}
        tfs = {id: tf for id, tf in tfs.items() if tf}
        idf = math.log(1 + (len(living) - len(tfs) + 0.5) / (len(tfs) + 0.5))
        for id, tf in tfs.items():
            norm = 1.2 * (0.25 + 0.75 * length[id] / average)
            scores[id] = scores.get(id, 0) + idf * tf / (tf + norm)
    return scores


@pytest.mark.parametrize(
    "weights", [FieldWeights(), FieldWeights(title=3), FieldWeights(title=5, text=2)], ids=str
)
def test_scores_are_those_of_the_formula(weights: FieldWeights, tmp_path: Path) -> None:
    BM25Index.build(DOCUMENTS, tmp_path / "i", analyzer="whitespace", weights=weights)
    with BM25Index.open(tmp_path / "i") as index:
        index.update(DOCUMENTS[50:60])
        index.delete(["d3"])
        index.add([DOCUMENTS[3]])
        for query in ("w1 w2", "w3 w40 w7"):
            [hits] = index.search([query], 1000)
            expected = bm25f(query, weights)
            assert set(hits.ids) == set(expected)
            np.testing.assert_allclose(hits.scores, [expected[id] for id in hits.ids], rtol=1e-5)
        assert index.get("d3") == DOCUMENTS[3]


@pytest.mark.parametrize("weight", [0, -1, 1.5, True, "2", 101])
def test_weights_are_checked(weight: Any) -> None:
    with pytest.raises(ScoringError, match="'title': expected a whole number"):
        FieldWeights(title=weight)
