from __future__ import annotations

import gzip
import json
import re
from concurrent.futures import ThreadPoolExecutor

import bm25s
import numpy as np
import pytest
import rank_bm25
from hypothesis import given, settings
from hypothesis import strategies as st

from twopass.retriever.index.postings import build_postings
from twopass.retriever.index.term_search import Best, Scratch, padded, search, warm
from twopass.retriever.scoring import BM25L, BM25Plus, Lucene, Okapi


@pytest.fixture(scope="module", autouse=True)
def compiled():
    """Compile before the clock of an example runs."""
    warm()


class Collection:
    """Documents of term ids, as a segment of their own."""

    def __init__(self, docs, n_terms, scoring):
        self.docs, self.scoring = docs, scoring
        self.offsets = np.cumsum([0, *map(len, docs)])
        flat = np.concatenate([np.empty(0, np.int32), *map(np.asarray, docs)]).astype(np.int32)
        self.postings = build_postings(flat, self.offsets, n_terms)
        self.impacts = self.postings.impacts(scoring, max(1e-9, self.postings.lengths.mean()))
        df = self.postings.df
        self.idf = np.zeros(n_terms)
        self.idf[df > 0] = scoring.idf(df[df > 0], len(docs))

    def query(self, terms):
        """Fold repeated terms: ids and weights, by falling weight."""
        terms, counts = np.unique(np.asarray(terms, np.int32), return_counts=True)
        weights = (self.idf[terms] * counts).astype(np.float32)
        order = np.argsort(-weights, kind="stable")
        return terms[order], weights[order]

    def search(self, terms, k, **options):
        return self.search_many([terms], k, **options)[0]

    def search_many(self, queries, k, scratch=None, **options):
        rows = [self.query(terms) for terms in queries]
        terms, weights = (np.concatenate(column) for column in zip(*rows, strict=True))
        offsets = np.cumsum([0, *(len(each) for each, _ in rows)])
        best = Best(len(rows), min(k, len(self.docs)))
        scratch = scratch or Scratch(len(self.docs))
        search(
            self.postings,
            terms,
            weights,
            offsets,
            padded(self.impacts),
            best,
            scratch=scratch,
            **options,
        )
        return list(best.ranked())

    def brute(self, terms, k, mask=None):
        """Score every document by its own terms, in float32 and in the documented order."""
        terms, weights = self.query(terms)
        scores = np.full(len(self.docs), -np.inf, np.float32)
        code = {
            pair: i
            for i, pair in enumerate(
                zip(self.postings.pair_tfs, self.postings.pair_lengths, strict=True)
            )
        }
        for doc, words in enumerate(self.docs):
            if mask is not None and not mask[doc]:
                continue
            words = list(words)
            total = None
            for i in np.argsort(-weights, kind="stable"):
                if terms[i] in words:
                    impact = self.impacts[code[words.count(terms[i]), len(words)]]
                    total = np.float32(total or 0) + weights[i] * impact
            if total is not None:
                scores[doc] = total
        best = [i for i in np.argsort(-scores, kind="stable") if scores[i] > -np.inf][:k]
        return np.array(best, np.int64), scores[best]


def assert_equal(found, expected):
    np.testing.assert_array_equal(found[0], expected[0])
    np.testing.assert_array_equal(found[1], expected[1])  # to the last bit
    assert found[0].dtype == np.int64
    assert found[1].dtype == np.float32


N_TERMS = 9
word = st.integers(0, N_TERMS - 1)
collections = st.builds(
    Collection,
    st.lists(st.lists(word, max_size=12), min_size=1, max_size=40),
    st.just(N_TERMS),
    st.sampled_from([Lucene(), Lucene(0.9, 0.4, "lucene-byte"), Okapi(), BM25L(), BM25Plus()]),
)


@given(collections, st.lists(word, max_size=8), st.integers(1, 50), st.data())
def test_the_best_k_are_those_of_brute_force(collection, terms, k, data):
    n = len(collection.docs)
    mask = data.draw(st.none() | st.lists(st.booleans(), min_size=n, max_size=n))
    mask = None if mask is None else np.array(mask, np.uint8)
    assert_equal(collection.search(terms, k, mask=mask), collection.brute(terms, k, mask))


@given(collections, st.lists(st.lists(word, max_size=8), min_size=1, max_size=5), st.integers(1, 9))
def test_many_queries_are_answered_as_one_by_one(collection, queries, k):
    found = collection.search_many(queries, k)
    for terms, each in zip(queries, found, strict=True):
        assert_equal(each, collection.search(terms, k))


@given(collections, st.lists(word, max_size=8), st.integers(1, 50), st.data())
def test_a_search_goes_on_from_segment_to_segment(whole, terms, k, data):
    cut = data.draw(st.integers(0, len(whole.docs)))
    best = Best(1, k)
    sought, (terms, weights) = terms, whole.query(terms)
    for start, docs in ((0, whole.docs[:cut]), (cut, whole.docs[cut:])):
        if not docs:
            continue
        part = Collection(docs, N_TERMS, whole.scoring)
        numbers = np.where(part.postings.df[terms] > 0, terms, -1).astype(np.int32)
        average = max(1e-9, whole.postings.lengths.mean())
        impacts = part.postings.impacts(whole.scoring, average)
        offsets = np.array([0, len(terms)])
        scratch = Scratch(len(docs))
        search(
            part.postings,
            numbers,
            weights,
            offsets,
            padded(impacts),
            best,
            base=start,
            scratch=scratch,
        )
    assert_equal(next(best.ranked()), whole.brute(sought, k))


def zipf(n_docs, n_terms=3000, mean=30, seed=0, scoring=Lucene()):  # noqa: B008
    """Documents long and many enough for windows, columns, passes and galloping."""
    rng = np.random.default_rng(seed)
    share = 1 / (np.arange(n_terms) + 2.7)
    lengths = rng.poisson(mean, n_docs)
    flat = rng.choice(n_terms, lengths.sum(), p=share / share.sum())
    return Collection(np.split(flat, np.cumsum(lengths)[:-1]), n_terms, scoring), rng


def fast_brute(collection, terms, k, mask=None):
    """The same as ``Collection.brute`` in whole columns of a small dense matrix."""
    terms, weights = collection.query(terms)
    postings, n = collection.postings, len(collection.docs)
    scores, seen = np.zeros(n, np.float32), np.zeros(n, bool)
    for i in np.argsort(-weights, kind="stable"):
        here = slice(postings.starts[terms[i]], postings.starts[terms[i] + 1])
        scores[postings.docs[here]] += weights[i] * collection.impacts[postings.codes[here]]
        seen[postings.docs[here]] = True
    allowed = seen & (True if mask is None else mask.astype(bool))
    docs = np.flatnonzero(allowed)
    best = docs[np.argsort(-scores[docs], kind="stable")[:k]]
    return best, scores[best]


@pytest.mark.parametrize("wide", [False, True])
def test_pruning_changes_no_bit_in_many_windows(wide, monkeypatch):
    collection, rng = zipf(80_000)
    if wide:
        codes = {
            name: getattr(collection.postings, name).astype(np.uint32)
            for name in ("codes", "frontier_codes", "columns")
        }
        collection.postings = type(collection.postings)(
            **{
                name: codes.get(name, getattr(collection.postings, name))
                for name in collection.postings.__slots__
            }
        )
    scratch = Scratch(len(collection.docs) + 5)
    for _ in range(150):
        words = collection.docs[rng.integers(len(collection.docs))]
        terms = rng.choice(words, min(len(words), int(rng.integers(1, 9))))
        k = int(rng.choice([1, 10, 100, 3000]))
        share = rng.choice([0.002, 0.5, 1.0])
        mask = None if share == 1 else (rng.random(len(collection.docs)) < share).astype(np.uint8)
        expected = fast_brute(collection, terms, k, mask)
        assert_equal(collection.search(terms, k, mask=mask, scratch=scratch), expected)
    assert not scratch.scores.any()
    assert not scratch.seen.any()


def test_ties_go_to_the_first_documents_through_all_windows():
    collection = Collection([[0, 1]] * 20_000 + [[0, 2]] * 20_000, 3, Lucene())
    for terms, first in (([0], 0), ([0, 1], 0), ([2], 20_000), ([0, 2], 20_000)):
        docs, scores = collection.search(terms, 50)
        assert list(docs) == list(range(first, first + 50))
        assert len(set(scores)) == 1


def test_a_query_of_ten_thousand_words():
    collection, rng = zipf(3000, n_terms=20_000)
    terms = rng.integers(0, 20_000, 10_000)
    assert_equal(collection.search(terms, 100), fast_brute(collection, terms, 100))


def test_k_may_exceed_the_documents_and_a_query_may_match_none():
    collection = Collection([[0], [1], [0, 1]], 3, Lucene())
    assert_equal(collection.search([0, 1], 10**9), collection.brute([0, 1], 3))
    for nothing in ([], [2]):
        docs, scores = collection.search(nothing, 5)
        assert len(docs) == len(scores) == 0
    nobody = np.zeros(3, np.uint8)
    assert len(collection.search([0, 1], 5, mask=nobody)[0]) == 0
    empty = Collection([[]], 1, Lucene())
    assert len(empty.search([0], 5)[0]) == 0


def test_negative_and_zero_weights_still_rank():
    collection = Collection([[0], [0, 1], [0, 0], [1]], 2, Lucene())
    for terms, weights in (
        ([1, 0], [2.0, -1.0]),
        ([1, 0], [1.0, 0.0]),
        ([0, 1], [0.0, 0.0]),
        ([0, 1], [-1.0, -2.0]),
    ):
        query = np.array(terms, np.int32), np.array(weights, np.float32)
        collection.query = lambda _, q=query: q
        for k in (1, 2, 9):
            assert_equal(collection.search([0, 1], k), collection.brute([0, 1], k))


def test_threads_share_a_segment():
    collection, rng = zipf(20_000)
    queries = [collection.docs[i][:6] for i in rng.integers(0, 20_000, 60)]
    expected = [collection.search(terms, 20) for terms in queries]

    def run(part):
        scratch = Scratch(20_000)
        return [collection.search(terms, 20, scratch=scratch) for terms in part]

    with ThreadPoolExecutor(2) as pool:
        found = [hits for part in pool.map(run, [queries[:30], queries[30:]]) for hits in part]
    for one, other in zip(found, expected, strict=True):
        assert_equal(one, other)


def read(folder):
    with gzip.open(folder / "corpus.jsonl.gz", "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    with (folder / "queries.jsonl").open(encoding="utf-8") as lines:
        queries = [json.loads(line)["text"] for line in lines]
    return [row["title"] + " " + row["text"] for row in rows], queries


@pytest.fixture(scope="module")
def scifact(data):
    texts, queries = read(data("scifact"))
    numbers = {}
    docs = [
        [numbers.setdefault(word, len(numbers)) for word in re.findall(r"\w+", text.lower())]
        for text in texts
    ]
    queries = [[numbers[w] for w in re.findall(r"\w+", q.lower()) if w in numbers] for q in queries]
    return docs, queries, len(numbers)


def test_scores_are_those_of_bm25s_on_real_text(scifact):
    docs, queries, n_terms = scifact
    collection = Collection(docs, n_terms, Lucene())
    other = bm25s.BM25(method="lucene", k1=1.2, b=0.75)
    vocabulary = {str(i): i for i in range(n_terms)}
    other.index((docs, vocabulary), show_progress=False)
    for terms in queries[:300]:
        docs_found, scores = collection.search(terms, 100)
        reference = other.get_scores_from_ids(terms)
        np.testing.assert_allclose(scores, reference[docs_found], rtol=1e-5)
        np.testing.assert_allclose(scores, np.sort(reference)[::-1][: len(scores)], rtol=1e-5)


@pytest.mark.parametrize(
    ("scoring", "library"),
    [(Okapi(), rank_bm25.BM25Okapi), (BM25L(), rank_bm25.BM25L), (BM25Plus(), rank_bm25.BM25Plus)],
)
def test_scores_are_those_of_rank_bm25_on_real_text(scifact, scoring, library):
    docs, queries, n_terms = scifact
    docs = docs[:1500]
    collection = Collection(docs, n_terms, scoring)
    other = library(docs)
    for terms in queries[:15]:
        terms = [term for term in terms if collection.postings.df[term]]
        found, scores = collection.search(terms, len(docs))
        folded, weights = collection.query(terms)
        matching = [i for i, doc in enumerate(docs) if set(doc) & set(folded)]
        assert sorted(found) == matching
        scores = scores + np.float32(weights.sum() * scoring.baseline)
        np.testing.assert_allclose(scores, other.get_scores(terms)[found], rtol=1e-5, atol=1e-5)


@settings(max_examples=50)
@given(
    st.lists(st.lists(word, min_size=1, max_size=6), min_size=1, max_size=8),
    st.lists(word, min_size=1, max_size=5),
    st.sampled_from(
        [
            (Okapi(), rank_bm25.BM25Okapi),
            (BM25L(), rank_bm25.BM25L),
            (BM25Plus(), rank_bm25.BM25Plus),
        ]
    ),
)
def test_scores_are_those_of_rank_bm25_in_tiny_collections(docs, terms, formulas):
    scoring, library = formulas
    known = sorted({term for doc in docs for term in doc})
    terms = [term for term in terms if term in known]
    numbers = {term: i for i, term in enumerate(known)}
    collection = Collection([[numbers[t] for t in doc] for doc in docs], len(known), scoring)
    found, scores = collection.search([numbers[t] for t in terms], len(docs))
    _, weights = collection.query([numbers[t] for t in terms])
    scores = scores + np.float32(weights.sum() * scoring.baseline)
    reference = library(docs).get_scores(terms)
    np.testing.assert_allclose(scores, reference[found], rtol=1e-5, atol=1e-6)
    assert sorted(found) == [i for i, doc in enumerate(docs) if set(doc) & set(terms)]
