"""Long documents by passages: what fits is scored as ever, and what wins can be looked up."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twopass.reranker.contract.errors import QueryTooLongError
from twopass.reranker.contract.scorer import Scorer
from twopass.reranker.contract.scores import Scores
from twopass.reranker.scorers.cross_encoder import CrossEncoder
from twopass.reranker.scorers.passage_windows import best_passages, bm25
from twopass.reranker.scorers.passages import PassageScorer, Reading

SENTENCES = [
    "A small town in the mountains, far away from any large road or river.",
    "Berlin is the capital and largest city of Germany.",
    "The museum's history of modern art: paintings, prints & films.",
    "How many people live in a town far away from the river?",
]
QUERY = "What is the capital of Germany?"


@pytest.fixture(scope="module")
def model(tiny):
    return CrossEncoder(tiny("bert"), device="cpu")


def scorer(model, **reading):
    return PassageScorer(model, model.encoder, Reading(**{"overlap": 4, **reading}))


def long_document(*order: int) -> str:
    return " ".join(SENTENCES[i] for i in order)


def test_what_fits_is_scored_as_ever(model):
    pairs = [(QUERY, text) for text in ["", *SENTENCES]]
    scores = scorer(model).score(pairs)
    np.testing.assert_allclose(scores.values, model.predict(pairs), atol=1e-6)
    assert [(s.start, s.end, s.passages, s.read) for s in scores.evidence] == [
        (0, len(text), 1, 1) for _, text in pairs
    ]
    assert not scores.truncated.any()


def test_the_winning_span_has_the_score(model):
    document = long_document(0, 2, 1, 3, 0, 2)
    scores = scorer(model, max_passages=None, window=24).score([(QUERY, document)])
    [span] = scores.evidence
    assert span.passages == span.read > 2
    winner = model.predict([(QUERY, document[span.start : span.end])])
    np.testing.assert_allclose(scores.values, winner, atol=1e-6)
    assert not scores.truncated[0], "all passages were read"


def test_the_budget_reads_the_most_promising_and_says_so(model):
    document = long_document(0, 3, 0, 1, 0, 3)
    [span] = scorer(model, max_passages=1, window=20).score([(QUERY, document)]).evidence
    assert SENTENCES[1][:20] in document[span.start : span.end]
    assert span.read == 1 < span.passages
    assert scorer(model, max_passages=1, window=20).score([(QUERY, document)]).truncated[0]


@pytest.mark.parametrize("how", ["max", "mean", "first"])
def test_aggregations_are_what_they_say(model, how):
    document = long_document(2, 1, 0, 3, 1, 2, 0)
    seen: list[tuple[str, str]] = []

    class Watched:
        def predict(self, pairs):
            seen.extend(pairs)
            return model.predict(pairs)

    reading = Reading(overlap=4, window=24, aggregation=how, max_passages=3, top=2)
    [found] = PassageScorer(Watched(), model.encoder, reading).predict([(QUERY, document)])
    each = model.predict(seen)
    expected = {"max": each.max(), "mean": np.sort(each)[-2:].mean(), "first": each[0]}[how]
    assert found == pytest.approx(expected, abs=1e-6)
    assert len(seen) == (1 if how == "first" else 3)
    if how == "first":
        assert document.startswith(seen[0][1])


@settings(max_examples=25, deadline=None)
@given(
    documents=st.lists(
        st.lists(st.sampled_from(SENTENCES), max_size=9).map(" ".join), min_size=1, max_size=5
    )
)
def test_a_score_does_not_depend_on_its_company(model, documents):
    reader = scorer(model, window=20, max_passages=2)
    pairs = [(QUERY, document) for document in documents]
    alone = [reader.predict([pair])[0] for pair in pairs]
    np.testing.assert_allclose(reader.predict(pairs), alone, atol=1e-5)


def test_spans_are_places_in_the_original_text(tiny):
    model = CrossEncoder(tiny("roberta"), device="cpu", max_length=48)
    document = "naïve café 🙂 柏林. " * 12 + "Berlin is the capital of Germany."
    reader = PassageScorer(model, model.encoder, Reading(overlap=2, window=24, max_passages=1))
    [span] = reader.score([("capital of Germany", document)]).evidence
    assert "Germany" in document[span.start : span.end]


def test_a_query_without_room_is_refused_not_cut(model):
    with pytest.raises(QueryTooLongError, match="room for a document"):
        scorer(model).predict([("capital " * 80, long_document(0, 1, 2, 3))])


def test_what_time_did_not_reach_is_told(model):
    class Half(Scorer):
        """Scores every other passage."""

        def score(self, pairs, **_):
            values = model.predict(pairs)
            values[1:] = np.nan
            return Scores(values, "out of time")

    document = long_document(0, 1, 2, 3, 0)
    reader = PassageScorer(Half(), model.encoder, Reading(overlap=4, window=20))
    scores = reader.score([(QUERY, document), (QUERY, SENTENCES[0])], deadline=1.0)
    assert np.isnan(scores.values).tolist() == [False, True]
    assert scores.evidence[0].read == 1
    assert scores.evidence[1] is None
    assert scores.truncated.tolist() == [True, True]
    assert "1 of 2 documents not at all" in scores.reason


def test_bm25_follows_its_formula():
    document = np.array([1, 2, 3, 1, 9, 9, 9, 2, 9, 9], dtype=np.int32)
    windows = np.array([[0, 4], [4, 7], [7, 10]])
    query = np.array([1, 2, 2, 7], dtype=np.int32)
    idf = {1: np.log(1 + 2.5 / 1.5), 2: np.log(1 + 1.5 / 2.5)}
    norm = [1.2 * (0.25 + 0.75 * size / (10 / 3)) for size in (4, 3, 3)]
    expected = [
        idf[1] * 2 / (2 + norm[0]) + idf[2] * 1 / (1 + norm[0]),
        0.0,
        idf[2] * 1 / (1 + norm[2]),
    ]
    np.testing.assert_allclose(bm25(query, document, windows), expected)
    assert best_passages(query, document, windows, 2).tolist() == [0, 2]
    assert best_passages(np.array([8], np.int32), document, windows, 2).tolist() == [0, 1]
