from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twopass.retriever.analysis import register_analyzer
from twopass.retriever.corpus.documents import Document
from twopass.retriever.errors import QueryError
from twopass.retriever.filters import Equal
from twopass.retriever.hits import Hits
from twopass.retriever.index.document_store import DocumentStore
from twopass.retriever.index.index import BM25Index
from twopass.retriever.index.requests import SearchRequest
from twopass.retriever.query.language import Clause, Occur, Syntax, parse
from twopass.retriever.scoring import BM25L, BM25Plus, Lucene, Okapi, Scoring

WORDS = ["a", "b", "c", "d", "e"]
TEXTS = st.lists(st.sampled_from(WORDS), max_size=9).map(" ".join)
CORPORA = st.lists(TEXTS, min_size=1, max_size=12)
CLAUSES = st.tuples(
    st.sampled_from(["", "", "+", "-"]),
    st.one_of(
        st.sampled_from([*WORDS, "zzz", "a-b", "c-d-e"]),
        st.lists(st.sampled_from([*WORDS, "zzz"]), max_size=3).map(lambda w: f'"{" ".join(w)}"'),
    ),
    st.sampled_from(["", "", "^2", "^0.5"]),
).map("".join)
QUERIES = st.lists(CLAUSES, max_size=5).map(" ".join)
FORMULAS = [Lucene(), Lucene(k1=0.9, b=0.4, lengths="lucene-byte"), Okapi(), BM25L(), BM25Plus()]


def documents(texts: Sequence[str]) -> list[Document]:
    return [Document(str(i), text, metadata={"even": i % 2 == 0}) for i, text in enumerate(texts)]


def build(
    texts: Sequence[str], scoring: Scoring = FORMULAS[0], analyzer: str = "standard"
) -> BM25Index:
    return BM25Index.build(documents(texts), analyzer=analyzer, scoring=scoring)


class BruteForce:
    """Every document scored clause by clause, without an index."""

    def __init__(self, texts: Sequence[str], scoring: Scoring) -> None:
        self.words = [text.split() for text in texts]
        self.scoring = scoring
        lengths = [len(words) for words in self.words]
        self.n_docs = sum(map(bool, lengths)) if isinstance(scoring, Lucene) else len(lengths)
        self.average = sum(lengths) / self.n_docs if sum(lengths) else 1.0
        vocabulary = {word for words in self.words for word in words}
        self.df = {word: sum(word in words for words in self.words) for word in vocabulary}
        self.floor = scoring.floor(list(self.df.values()), self.n_docs) if self.df else None

    def search(self, query: str) -> dict[str, float]:
        clauses = [part for clause in parse(query).clauses for part in self.parts(clause)]
        required = any(occur is Occur.REQUIRED for _, occur, _ in clauses)
        scores = {}
        for i, words in enumerate(self.words):
            counts = [count(part, words) for part, _, _ in clauses]
            kinds = [occur for _, occur, _ in clauses]
            if any(c and k is Occur.EXCLUDED for c, k in zip(counts, kinds, strict=True)):
                continue
            if any(not c and k is Occur.REQUIRED for c, k in zip(counts, kinds, strict=True)):
                continue
            if not required and not any(counts):
                continue
            scores[str(i)] = sum(
                boost * self.idf(part) * self.impact(c, len(words))
                for (part, occur, boost), c in zip(clauses, counts, strict=True)
                if occur is not Occur.EXCLUDED
            )
        return scores

    def parts(self, clause: Clause) -> Iterator[tuple[list[str], Occur, float]]:
        words = clause.text.replace("-", " ").split()
        if clause.quoted or clause.occur is not Occur.SHOULD:
            if words:
                yield words, clause.occur, clause.boost
        else:
            for word in words:
                yield [word], clause.occur, clause.boost

    def idf(self, part: list[str]) -> float:
        if any(word not in self.df for word in part):
            return 0.0
        df = [self.df[word] for word in part]
        return float(self.scoring.idf(df, self.n_docs, floor=self.floor).sum())

    def impact(self, tf: int, length: int) -> float:
        if not tf:
            return self.scoring.baseline
        return float(self.scoring.impact([tf], [length], self.average)[0])


def count(part: list[str], words: list[str]) -> int:
    return sum(words[i : i + len(part)] == part for i in range(len(words) - len(part) + 1))


def check(hits: Hits, expected: dict[str, float], k: int) -> None:
    found = dict(zip(hits.ids, hits.scores.tolist(), strict=True))
    best = sorted(expected.values(), reverse=True)[:k]
    assert len(found) == len(best)
    np.testing.assert_allclose(list(found.values()), best, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose([expected[i] for i in found], best, rtol=1e-5, atol=1e-6)
    for (one, score), (other, next_score) in zip(
        list(found.items())[:-1], list(found.items())[1:], strict=True
    ):
        assert score > next_score or int(one) < int(other)


@settings(max_examples=200, deadline=None)
@given(CORPORA, QUERIES, st.integers(1, 13), st.sampled_from(FORMULAS))
def test_equals_scoring_every_document(
    texts: list[str], query: str, k: int, scoring: Scoring
) -> None:
    index = build(texts, scoring)
    (hits,) = index.search([query], k, syntax="query")
    check(hits, BruteForce(texts, scoring).search(query), k)


@settings(max_examples=100, deadline=None)
@given(CORPORA, CORPORA, QUERIES, st.integers(1, 13), st.data())
def test_equals_it_with_segments_deletions_and_a_filter(
    first: list[str], more: list[str], query: str, k: int, data: st.DataObject
) -> None:
    texts = first + more
    index = build(first)
    index.add(documents(texts)[len(first) :])
    gone = data.draw(st.sets(st.sampled_from(range(len(texts)))))
    index.delete(map(str, gone))
    living = [i for i in range(len(texts)) if i not in gone]
    reference = BruteForce([texts[i] for i in living], FORMULAS[0]).search(query)
    expected = {str(living[int(i)]): score for i, score in reference.items()}
    (hits,) = index.search([query], k, syntax="query")
    check(hits, expected, k)
    if any(i % 2 == 0 for i in living):
        (hits,) = index.search([query], k, syntax="query", filter=Equal("even", True))
        check(hits, {i: score for i, score in expected.items() if int(i) % 2 == 0}, k)


@settings(deadline=None)
@given(CORPORA, st.lists(st.sampled_from([*WORDS, "a-b", "c.d", "zzz", '5"', "C++"])))
def test_words_without_signs_are_a_plain_query(texts: list[str], words: list[str]) -> None:
    index = build(texts)
    query = " ".join(words)
    (plain,) = index.search([query], 20)
    (clauses,) = index.search([query], 20, syntax="query")
    assert plain.ids.tolist() == clauses.ids.tolist()
    assert plain.scores.tolist() == clauses.scores.tolist()


def test_stop_words_leave_holes_in_phrases() -> None:
    texts = ["the state of the art", "state art", "a state in no art", "state of art"]
    index = BM25Index.build(documents(texts), analyzer="english")
    (hits,) = index.search(['"state of the art"'], 10, syntax="query")
    assert sorted(hits.ids) == ["0", "2"]
    (hits,) = index.search(['+"of the" state'], 10, syntax="query")  # it says nothing
    assert sorted(hits.ids) == ["0", "1", "2", "3"]


def test_excluded_clauses_alone_find_nothing() -> None:
    (hits,) = build(["a", "b"]).search(["-a"], 10, syntax="query")
    assert len(hits) == 0


def test_only_texts_that_may_be_among_the_best_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    index = build([" ".join(["new york"] * (1 + i % 10)) for i in range(1000)])
    read = []
    contents = DocumentStore.contents
    monkeypatch.setattr(
        DocumentStore, "contents", lambda self, doc: read.append(doc) or contents(self, doc)
    )
    (hits,) = index.search(['"new york"'], 5, syntax="query")
    assert set(hits.ids) == {"9", "19", "29", "39", "49"}
    assert len(read) <= 105  # whose bound is as high as the best score, and the answer's


def test_phrases_in_many_batches_are_those_of_an_analyser_of_tokens() -> None:
    """Frequent words that are rarely side by side: all documents are read, by either analysis."""
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice(WORDS, 30)) for _ in range(3000)]
    texts += ["a b", "x " * 300 + "a b a b"]
    slow = register_analyzer("words-of-a-test", str.split)
    for query in ('"a b c d e"', '"a b" -"c d" "e a b"', '+"e e e" a', '"a x"'):
        fast, plain = (
            index.search([query], 50, syntax="query")[0]
            for index in (build(texts), build(texts, analyzer=slow.name))
        )
        assert fast.ids.tolist() == plain.ids.tolist()
        assert fast.scores.tolist() == plain.scores.tolist()


def test_searches_of_a_batch_may_differ() -> None:
    index = build(["a", "a b", "b"])
    requests = [
        SearchRequest("a b", k=1),
        SearchRequest('+a -"b"', syntax="query"),
        SearchRequest('+a -"b', syntax="lenient"),
        SearchRequest("a b", filter=Equal("even", False)),
    ]
    found = [hits.ids.tolist() for hits in index.msearch(requests)]
    assert found == [["1"], ["0"], ["1", "0"], ["1"]]


@pytest.mark.parametrize("k", [0, -1, 1.5, True, None, "10"])
def test_an_unusable_k_is_refused(k: object) -> None:
    with pytest.raises(QueryError, match="k: expected a whole number of at least 1"):
        SearchRequest("a", k)  # type: ignore[arg-type]


def test_integers_of_numpy_are_numbers() -> None:
    (hits,) = build(["a", "a"]).search(["a"], np.int64(1))  # type: ignore[arg-type]
    assert len(hits) == 1


def test_what_is_no_filter_is_refused() -> None:
    with pytest.raises(QueryError, match=r"filter: expected one of retriever\.filters, found dict"):
        build(["a"]).search(["a"], 1, filter={"even": True})  # type: ignore[arg-type]


def test_a_query_that_is_no_string_is_refused() -> None:
    with pytest.raises(QueryError, match="query: expected a string, found NoneType"):
        build(["a"]).search([None], 1)  # type: ignore[list-item]


def test_a_mistake_is_reported_with_its_place() -> None:
    with pytest.raises(QueryError, match="query, character 3: expected the closing quote"):
        build(["a"]).search(['"a'], 1, syntax="query")


ODD = [
    "",
    " ",
    "the of and",
    "a " * 10_000,
    " ".join(f"w{i}" for i in range(10_000)),
    '"',
    "'",
    "+",
    "-",
    "^",
    "\\",
    '"a',
    "\x00\x01\x1b[0m\x7f\x85\u2028",
    "\ud800",
    "a\udfffb",
    "\ufeff\ufffe\U0010ffff",
    "x" * 100_000,
    "AND OR NOT a:b *? ~ [1 TO 2] {}()!&&||/re/",
    "e\u0301" * 500,
    "👩‍👩‍👧‍👦" * 100,
]


@pytest.mark.parametrize("syntax", ["plain", "lenient"])
@pytest.mark.parametrize("query", ODD, ids=range(len(ODD)))
@pytest.mark.parametrize("analyzer", ["english", "standard", "whitespace"])
def test_plain_and_lenient_queries_never_fail(query: str, syntax: Syntax, analyzer: str) -> None:
    index = BM25Index.build(documents(["a b", "c", query]), analyzer=analyzer)
    (hits,) = index.search([query], 10, syntax=syntax)
    assert set(hits.ids) <= {"0", "1", "2"}
    if syntax == "plain" and index.analyzer.terms(query):
        assert "2" in hits.ids


@settings(deadline=None)
@given(
    st.text(st.characters(codec=None, exclude_categories=[])), st.sampled_from(["plain", "lenient"])
)
def test_no_text_makes_them_fail(query: str, syntax: Syntax) -> None:
    index = build(["a b", query])
    (hits,) = index.search([query], 10, syntax=syntax)
    if syntax == "plain" and index.analyzer.terms(query):
        assert hits.ids[0] == "1"
