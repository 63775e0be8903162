from __future__ import annotations

import numpy as np
import pytest
import rank_bm25

from twopass.retriever.base import Retriever
from twopass.retriever.corpus.documents import Document
from twopass.retriever.errors import AnalysisError, DuplicateIdError, QueryError, ScoringError
from twopass.retriever.filters import Equal, Not
from twopass.retriever.index.index import BM25Index
from twopass.retriever.rank_bm25 import RankBM25Retriever
from twopass.retriever.scoring import formula

TEXTS = [
    "the cat sat on the mat",
    "a cat and a dog, and another cat",
    "dogs chase cats in the old town",
    "",
    "an owl watches the town at night, and the night is long",
    "cat cat cat cat",
]
DOCUMENTS = [Document(f"d{i}", text, metadata={"even": i % 2 == 0}) for i, text in enumerate(TEXTS)]
QUERIES = ["cat", "cat cat dog", "the old town at night", "unheard words only", ""]
CLASSES = {
    "okapi": rank_bm25.BM25Okapi,
    "l": rank_bm25.BM25L,
    "plus": rank_bm25.BM25Plus,
}


@pytest.mark.parametrize("variant", CLASSES)
def test_it_scores_as_the_library_and_finds_what_shares_a_term(variant):
    retriever = RankBM25Retriever(DOCUMENTS, variant=variant, analyzer=str.split, k1=1.1)
    assert isinstance(retriever, Retriever)
    corpus = [text.split() for text in TEXTS]
    library = CLASSES[variant](corpus, k1=1.1)
    for query, hits in zip(QUERIES, retriever.search(QUERIES, 10), strict=True):
        terms = query.split()
        expected = {f"d{i}" for i, words in enumerate(corpus) if set(words) & set(terms)}
        assert set(hits.ids) == expected
        scores = library.get_scores(terms)
        np.testing.assert_allclose(hits.scores, [scores[int(i[1:])] for i in hits.ids], rtol=1e-6)
        assert list(hits.texts) == [TEXTS[int(i[1:])] for i in hits.ids]


@pytest.mark.parametrize("variant", CLASSES)
def test_the_index_scores_as_the_library(variant):
    reference = RankBM25Retriever(DOCUMENTS, variant=variant, analyzer="standard")
    index = BM25Index.build(DOCUMENTS, analyzer="standard", scoring=formula(variant))
    pairs = zip(reference.search(QUERIES, 10), index.search(QUERIES, 10), strict=True)
    for expected, found in pairs:
        by_id = dict(zip(expected.ids, expected.scores, strict=True))
        assert set(found.ids) == set(by_id)
        np.testing.assert_allclose(found.scores, [by_id[i] for i in found.ids], atol=1e-5)


def test_a_filter_leaves_k_documents_where_k_match():
    retriever = RankBM25Retriever(DOCUMENTS)
    (unfiltered,) = retriever.search(["cats"], 2)
    assert list(unfiltered.ids) == ["d5", "d1"]
    (odd,) = retriever.search(["cats"], 2, filter=Equal("even", True))
    assert set(odd.ids) == {"d0", "d2"}
    (none,) = retriever.search(["cats"], 2, filter=Not(Equal("even", True)))
    assert list(none.ids) == ["d5", "d1"]


def test_ties_keep_the_documents_order():
    documents = [Document(f"d{i}", "same words") for i in range(5)] + [Document("x", "other")] * 1
    (hits,) = RankBM25Retriever(documents).search(["words"], 3)
    assert list(hits.ids) == ["d0", "d1", "d2"]


@pytest.mark.parametrize("documents", [[], [Document("a", ""), Document("b", "  ")]])
def test_a_corpus_without_a_word_answers_nothing(documents):
    for variant in CLASSES:
        (hits,) = RankBM25Retriever(documents, variant=variant).search(["cat"], 3)
        assert len(hits) == 0


def test_wrong_arguments_are_refused():
    with pytest.raises(ScoringError, match="okapi, l, plus"):
        RankBM25Retriever(DOCUMENTS, variant="lucene")
    with pytest.raises(ScoringError, match="found delta"):
        RankBM25Retriever(DOCUMENTS, delta=1)
    with pytest.raises(AnalysisError):
        RankBM25Retriever(DOCUMENTS, analyzer="klingonese")
    with pytest.raises(DuplicateIdError, match="'d0' twice"):
        RankBM25Retriever([DOCUMENTS[0], DOCUMENTS[0]])
    retriever = RankBM25Retriever(DOCUMENTS)
    with pytest.raises(QueryError, match="at least 1, found 0"):
        retriever.search(["cat"], 0)
    with pytest.raises(QueryError, match="evn"):
        retriever.search(["cat"], 1, filter=Equal("evn", True))
