"""The second stage as settings say: cached, shared, remote, with others to fall back on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from twopass.pipeline.apps.assembly import (
    build_cheap_scorer,
    build_final_scorer,
    build_pipeline,
    build_scorer,
)
from twopass.pipeline.apps.settings import Settings, load_settings
from twopass.pipeline.errors import SettingsError
from twopass.reranker import BatchingScorer, CachingScorer, CrossEncoder, RemoteScorer
from twopass.reranker.contract.errors import ModelError
from twopass.reranker.contract.scorer import as_scorer
from twopass.retriever.corpus.documents import Document
from twopass.retriever.index.index import BM25Index

NOBODY = "http://127.0.0.1:9"
PAIRS = [("cat", "a cat sleeps"), ("cat", "a dog barks")]


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tenacity.nap.time.sleep", lambda _: None)


def settings(**reranker: Any) -> Settings:
    return Settings(reranker={"device": "cpu", **reranker})


@pytest.fixture(scope="module")
def expected() -> Any:
    return CrossEncoder(device="cpu").predict(PAIRS)


def test_the_model_alone(expected: Any) -> None:
    scorer = build_final_scorer(settings())
    assert isinstance(scorer, CrossEncoder)
    np.testing.assert_allclose(scorer.predict(PAIRS), expected, atol=1e-5)


def test_scores_that_are_kept(tmp_path: Path, expected: Any) -> None:
    kept = settings(cache={"folder": tmp_path / "scores", "megabytes": 1})
    scorer = build_final_scorer(kept)
    assert isinstance(scorer, CachingScorer)
    np.testing.assert_allclose(scorer.predict(PAIRS), expected, atol=1e-5)
    again = build_final_scorer(kept)
    np.testing.assert_allclose(again.predict(PAIRS), expected, atol=1e-5)
    assert isinstance(again, CachingScorer)
    assert again.stats.disk == 2


def test_a_model_for_many_callers(expected: Any) -> None:
    scorer = build_final_scorer(settings(), shared=True)
    assert isinstance(scorer, BatchingScorer)
    with scorer:
        np.testing.assert_allclose(scorer.predict(PAIRS), expected, atol=1e-5)
        assert scorer.stats.batches == 1


def test_what_ships_is_a_cascade_of_two(expected: Any) -> None:
    scorer = as_scorer(build_scorer(settings(cascade={"keep": 1})))
    scores = scorer.score(PAIRS)
    cheap = CrossEncoder("twopass/tiny", device="cpu").predict(PAIRS)
    np.testing.assert_allclose(scores.columns["cheap"], cheap, atol=1e-5)
    best = int(np.argmax(cheap))
    assert np.flatnonzero(~np.isnan(scores.values)).tolist() == [best]
    np.testing.assert_allclose(scores.values[best], expected[best], atol=1e-5)


@pytest.mark.parametrize(
    ("chosen", "name"),
    [
        ({}, "twopass/tiny"),
        ({"cascade": {"model": "none"}}, None),
        ({"cascade": {"model": "mine"}}, "mine"),
        ({"model": "twopass/tiny"}, None),
        ({"model": "mine"}, None),
        ({"remote": {"url": NOBODY}}, None),
        ({"remote": {"url": NOBODY}, "fallback": ["remote"]}, "twopass/tiny"),
    ],
)
def test_only_the_model_that_ships_has_what_chooses_by_itself(
    chosen: dict[str, Any], name: str | None
) -> None:
    own = settings(**chosen)
    assert own.reranker.cheap_model == name
    if name is None:
        assert build_cheap_scorer(own) is None


def test_a_service_instead_of_the_model() -> None:
    scorer = build_scorer(settings(remote={"url": NOBODY, "dialect": "tei", "api_key": "k"}))
    assert isinstance(scorer, RemoteScorer)


def test_another_scorer_answers_and_the_status_says_why(expected: Any) -> None:
    chain = settings(remote={"url": NOBODY}, fallback=["cpu"])
    assert chain.reranker.chain == ("remote", "cpu")
    scores = as_scorer(build_scorer(chain)).score(PAIRS)
    np.testing.assert_allclose(scores.values, expected, atol=1e-5)
    assert scores.by == "cpu"
    assert scores.reason.startswith("remote: UnavailableError: http://127.0.0.1:9/v2/rerank")


def test_int8_on_a_cpu_answers_too(expected: Any) -> None:
    chain = settings(remote={"url": NOBODY}, fallback=["cpu-int8", "none"])
    scores = as_scorer(build_scorer(chain)).score(PAIRS)
    assert scores.by == "cpu-int8"
    np.testing.assert_allclose(scores.values, expected, atol=0.5)
    assert (scores.values != expected).any()


def test_nobody_answers_and_the_first_stage_stands(tmp_path: Path) -> None:
    BM25Index.build([Document("a", "a cat"), Document("b", "cat, cat, dog")], tmp_path / "index")
    chain = {"remote": {"url": NOBODY}, "fallback": "none"}
    pipeline = build_pipeline(
        Settings(retriever={"index": str(tmp_path / "index")}, reranker=chain)
    )
    ranking = pipeline.search("cat")
    np.testing.assert_array_equal(ranking.fused, ranking.retrieval)
    assert (ranking.status.outcome, ranking.status.by) == ("failed", "none")
    assert ranking.status.reason.startswith("remote: UnavailableError")


def test_a_model_that_is_not_there() -> None:
    with pytest.raises(ModelError, match="absent"):
        build_scorer(settings(model="twopass/absent"))
    chain = settings(model="twopass/absent", fallback="none")
    scores = as_scorer(build_scorer(chain)).score(PAIRS)
    assert scores.reason.startswith("model: ModelError: ")


def test_a_chain_as_text(monkeypatch: pytest.MonkeyPatch) -> None:
    given = {"reranker.remote.url": NOBODY, "reranker.fallback": "cpu, remote,none"}
    assert load_settings(given).reranker.chain == ("model", "cpu", "remote", "none")
    monkeypatch.setenv("TWOPASS_RERANKER__FALLBACK", '["cpu", "none"]')
    assert load_settings().reranker.chain == ("model", "cpu", "none")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"reranker.fallback": "none,cpu"}, "each once and none as the last"),
        ({"reranker.fallback": "cpu,cpu"}, "each once"),
        ({"reranker.fallback": "remote"}, r"expected a remote\.url"),
        ({"reranker.fallback": "gpu"}, "reranker.fallback"),
        ({"reranker.remote.dialect": "x"}, r"reranker\.remote\.dialect"),
        ({"reranker.cache.megabytes": 0}, r"reranker\.cache\.megabytes"),
    ],
)
def test_what_settings_may_not_say(given: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        load_settings(given)


def test_a_threshold_means_one_thing() -> None:
    with pytest.raises(SettingsError, match=r"min_score: .* a service among"):
        build_scorer(
            Settings(min_score=0.5, reranker={"calibration": "x", "remote": {"url": NOBODY}})
        )
