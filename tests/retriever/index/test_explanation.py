from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twopass.retriever.corpus.documents import Document
from twopass.retriever.errors import QueryError
from twopass.retriever.index.index import BM25Index
from twopass.retriever.scoring import BM25L, BM25Plus, Lucene, Okapi, Scoring

WORDS = ["a", "b", "c", "d"]
CORPORA = st.lists(st.lists(st.sampled_from(WORDS), max_size=9).map(" ".join), min_size=1)
CLAUSES = st.sampled_from(
    [*WORDS, "+a", "-b", '"a b"', '+"b c"', "d^3", '-"c d"', '"a zzz"', "zzz"]
)
FORMULAS = [Lucene(), Lucene(lengths="lucene-byte"), Okapi(), BM25L(), BM25Plus()]


def build(texts: list[str], scoring: Scoring = FORMULAS[0]) -> BM25Index:
    documents = [Document(str(i), text) for i, text in enumerate(texts)]
    return BM25Index.build(documents, analyzer="standard", scoring=scoring)


@settings(max_examples=200, deadline=None)
@given(CORPORA, st.lists(CLAUSES).map(" ".join), st.sampled_from(FORMULAS))
def test_contributions_add_up_to_the_score(texts: list[str], query: str, scoring: Scoring) -> None:
    index = build(texts, scoring)
    (hits,) = index.search([query], len(texts), syntax="query")
    scores = dict(zip(hits.ids, hits.scores.tolist(), strict=True))
    for i in map(str, range(len(texts))):
        found = index.explain(query, i, syntax="query")
        assert bool(found.mismatch) == (i not in scores)
        assert found.score == pytest.approx(scores.get(i, 0), rel=1e-5, abs=1e-6)
        if not found.mismatch:
            assert found.score == sum(leaf.contribution for leaf in found.leaves)


def test_every_number_is_shown() -> None:
    index = build(["new york new york", "new", "york"])
    found = index.explain('new "new york"^2 +york zzz', "0", syntax="query")
    assert (found.n_docs, found.length, found.average_length) == (3, 4, 2.0)
    assert found.norm == 0.25 + 0.75 * 4 / 2
    new, phrase, york, zzz = found.leaves
    assert (new.leaf, new.df, new.tf, new.boost) == ("new", 2, 2, 1.0)
    assert new.idf == pytest.approx(0.4700036)  # ln(1 + (3 - 2 + 0.5) / (2 + 0.5))
    assert new.impact == pytest.approx(2 / (2 + 1.2 * found.norm))
    assert (phrase.leaf, phrase.df, phrase.tf, phrase.boost) == ('"new york"', None, 2, 2.0)
    assert phrase.idf == pytest.approx(new.idf + york.idf)
    assert phrase.contribution == pytest.approx(2 * phrase.idf * phrase.impact)
    assert (zzz.df, zzz.idf, zzz.tf, zzz.contribution) == (0, 0.0, 0, 0.0)


def test_it_reads_as_a_table_and_as_json() -> None:
    found = build(["new york new york", "new", "york"]).explain("new zzz", "0")
    assert str(found).splitlines() == [
        "document '0' scores 0.22927",
        "formula: lucene, k1 1.2, b 0.75, lengths exact, scaled False",
        "documents: 3 of 2 terms on average; this one of 4, length norm 1.75",
        "term or phrase  boost  df       idf  tf    impact  contribution",
        "new                 1   2  0.470004   2  0.487805       0.22927",
        "zzz                 1   0         0   0         0             0",
    ]
    assert json.loads(json.dumps(found.to_dict()))["leaves"][0]["leaf"] == "new"


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("+zzz new", "it lacks zzz, which is required"),
        ("new -york", "it has york, which is excluded"),
        ('new -"new york"', 'it has "new york", which is excluded'),
        ("zzz", "it has none of the terms"),
        ("", "it has none of the terms"),
    ],
)
def test_why_a_document_does_not_match(query: str, reason: str) -> None:
    found = build(["new york", "a"]).explain(query, "0", syntax="query")
    assert (found.mismatch, found.score) == (reason, 0.0)
    assert str(found).startswith(f"document '0' does not match: {reason}\n")


def test_an_unknown_document_or_a_mistake_is_refused() -> None:
    index = build(["a"])
    with pytest.raises(KeyError):
        index.explain("a", "1")
    with pytest.raises(QueryError, match="closing quote"):
        index.explain('"a', "0", syntax="query")
