"""The drop-in beside the original, and what it promises of its own."""

from __future__ import annotations

import logging
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twopass.reranker.contract.errors import (
    InputError,
    ModelError,
    QueryTooLongError,
    RerankerError,
)
from twopass.reranker.contract.scorer import PairScorer
from twopass.reranker.scorers.cross_encoder import CrossEncoder

KINDS = ["bert", "electra", "distilbert", "roberta", "xlm-roberta", "modernbert"]


@pytest.fixture(scope="module")
def pairs(texts) -> list[tuple[str, str]]:
    queries = ["what is berlin", "museum of art?", ""]
    documents = [*texts, "", "river", "a b c [SEP] <mask> d", " ".join(texts)]
    return [(query, document) for query in queries for document in documents]


@pytest.fixture(scope="module")
def original(tiny):
    """Sentence-transformers' cross-encoder over the same folder."""
    from sentence_transformers import CrossEncoder as Original

    loaded: dict[Path, Any] = {}

    def load(folder: Path, **options: Any) -> Any:
        if options:
            return Original(str(folder), device="cpu", **options)
        if folder not in loaded:
            loaded[folder] = Original(str(folder), device="cpu")
        return loaded[folder]

    return load


@pytest.fixture(scope="module")
def model(tiny) -> CrossEncoder:
    return CrossEncoder(tiny("bert"), device="cpu")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("labels", [1, 3])
def test_predicts_what_the_original_predicts(tiny, original, pairs, kind, labels):
    folder = tiny(kind, labels)
    ours = CrossEncoder(folder, device="cpu")
    scores = ours.predict(pairs)
    assert scores.dtype == np.float32
    assert scores.shape == ((len(pairs),) if labels == 1 else (len(pairs), labels))
    assert scores.std() > 1e-3  # scores that say something
    np.testing.assert_allclose(scores, original(folder).predict(pairs), atol=1e-5)


@pytest.mark.parametrize("kind", ["bert", "electra", "roberta", "xlm-roberta"])
def test_engines_agree(tiny, pairs, kind):
    packed = CrossEncoder(tiny(kind, 3), device="cpu", engine="packed").logits(pairs)
    padded = CrossEncoder(tiny(kind, 3), device="cpu", engine="torch").logits(pairs)
    np.testing.assert_allclose(packed.values, padded.values, atol=1e-5)
    np.testing.assert_array_equal(packed.truncated, padded.truncated)


@pytest.mark.parametrize("engine", ["packed", "torch"])
def test_bf16_is_near_fp32(tiny, pairs, engine):
    whole = CrossEncoder(tiny("bert"), device="cpu").predict(pairs)
    half = CrossEncoder(tiny("bert"), device="cpu", engine=engine, precision="bf16").predict(pairs)
    assert half.dtype == np.float32
    np.testing.assert_allclose(half, whole, atol=0.05)
    assert (half != whole).any()


def test_the_packed_engine_is_chosen_where_it_can(tiny):
    with pytest.raises(ModelError, match=r"engine='torch' takes it"):
        CrossEncoder(tiny("modernbert"), device="cpu", engine="packed")
    with pytest.raises(ModelError, match="expected an engine"):
        CrossEncoder(tiny("bert"), device="cpu", engine="fastest")  # type: ignore[arg-type]


def test_one_pair_gives_one_score(model, original, tiny, pairs):
    pair = pairs[0]
    score = model.predict(pair)
    assert isinstance(score, np.float32)
    assert model.predict(list(pair)) == score
    np.testing.assert_allclose(score, original(tiny("bert")).predict(pair), atol=1e-5)
    several = CrossEncoder(tiny("bert", 3), device="cpu").predict(pair)
    assert several.shape == (3,)


def test_no_pairs_give_no_scores(model, tiny):
    assert model.predict([]).shape == (0,)
    assert CrossEncoder(tiny("bert", 3), device="cpu").predict([]).shape == (0, 3)
    assert model.rank("query", []) == []


def test_converts_as_the_original_does(model, pairs):
    import torch

    scores = model.predict(pairs)
    tensor = model.predict(pairs, convert_to_tensor=True)
    assert isinstance(tensor, torch.Tensor)
    np.testing.assert_array_equal(tensor.numpy(), scores)
    listed = model.predict(pairs, convert_to_numpy=False)
    assert isinstance(listed, list)
    assert [value.item() for value in listed] == scores.tolist()


def test_arrays_of_strings_are_pairs(model, pairs):
    np.testing.assert_array_equal(model.predict(np.array(pairs)), model.predict(pairs))


def test_applies_activation_and_softmax_as_the_original_does(tiny, original, pairs):
    import torch

    folder = tiny("bert", 3)
    ours, theirs = CrossEncoder(folder, device="cpu"), original(folder)
    for options in ({"apply_softmax": True}, {"activation_fn": torch.nn.Tanh()}):
        np.testing.assert_allclose(
            ours.predict(pairs, **options), theirs.predict(pairs, **options), atol=1e-5
        )
    built = CrossEncoder(folder, device="cpu", activation_fn=torch.nn.Sigmoid())
    np.testing.assert_allclose(
        built.predict(pairs), theirs.predict(pairs, activation_fn=torch.nn.Sigmoid()), atol=1e-5
    )


@pytest.mark.parametrize("top_k", [None, 3, 0, 100])
@pytest.mark.parametrize("return_documents", [True, False])
def test_ranks_as_the_original_does(tiny, original, texts, top_k, return_documents):
    documents = [*texts, "river", "a small museum"]
    call = {"top_k": top_k, "return_documents": return_documents}
    ours = CrossEncoder(tiny("bert"), device="cpu").rank("what is berlin", documents, **call)
    theirs = original(tiny("bert")).rank("what is berlin", documents, **call)
    assert [entry["corpus_id"] for entry in ours] == [entry["corpus_id"] for entry in theirs]
    assert [entry.get("text") for entry in ours] == [entry.get("text") for entry in theirs]
    for mine, other in zip(ours, theirs, strict=True):
        assert mine["score"] == pytest.approx(other["score"], abs=1e-5)


def test_a_model_of_several_labels_does_not_rank(tiny):
    with pytest.raises(ModelError, match=r"one label to rank by, found 3; use predict"):
        CrossEncoder(tiny("bert", 3), device="cpu").rank("query", ["document"])


def test_cuts_documents_as_the_original_does_and_tells(tiny, original, texts, caplog):
    pairs = [("what is berlin", " ".join(texts * 3)), ("what is berlin", "river")]
    model = CrossEncoder(tiny("bert"), device="cpu", max_length=24)
    assert model.max_length == 24
    with caplog.at_level(logging.INFO, logger="twopass"):
        logits = model.logits(pairs)
    assert logits.truncated.tolist() == [True, False]
    assert "1 of 2 pairs were cut to fit the model" in caplog.text
    theirs = original(tiny("bert"), max_length=24).predict(pairs)
    np.testing.assert_allclose(model.predict(pairs), theirs, atol=1e-5)


def test_a_query_is_never_cut_unasked(tiny, texts):
    query = " ".join(texts)
    model = CrossEncoder(tiny("bert"), device="cpu", max_length=24)
    with pytest.raises(QueryTooLongError, match=r"pair 1: .*fewer than 21 tokens.*max_query_leng"):
        model.predict([("berlin", "river"), (query, "river")])
    cutting = CrossEncoder(tiny("bert"), device="cpu", max_length=24, max_query_length=8)
    logits = cutting.logits([("berlin", "river"), (query, "river")])
    assert logits.truncated.tolist() == [False, True]


def test_is_a_pair_scorer(model):
    scorer: PairScorer = model
    assert isinstance(scorer, PairScorer)


def test_many_threads_score_at_once(model, pairs):
    expected = model.predict(pairs)
    results: list[Any] = [None] * 8

    def score(i: int) -> None:
        results[i] = model.predict(pairs[i:] + pairs[:i])

    threads = [threading.Thread(target=score, args=(i,)) for i in range(len(results))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for i, scores in enumerate(results):
        np.testing.assert_allclose(scores, np.roll(expected, -i), atol=1e-6)


def test_equal_documents_score_the_same_and_keep_their_order(model, texts):
    documents = [*texts, "river", *texts, "river", *texts]
    ranked = model.rank("what is berlin", documents)
    assert len({entry["score"] for entry in ranked}) == len(set(documents))
    for text in documents:
        places = [e["corpus_id"] for e in ranked if documents[e["corpus_id"]] == text]
        assert places == sorted(places)


@pytest.fixture(scope="module")
def alone(model, pairs) -> dict[tuple[str, str], np.float32]:
    return {pair: model.predict(pair) for pair in pairs}


@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_company_never_changes_a_score(data, model, pairs, alone):
    """Order, duplicates, batch sizes and the budget leave each pair's score as it is alone."""
    some = data.draw(st.lists(st.sampled_from(pairs), min_size=1, max_size=40))
    size = data.draw(st.none() | st.integers(1, 50))
    scores = model.predict(some, batch_size=size)
    np.testing.assert_allclose(scores, [alone[pair] for pair in some], atol=1e-6)


def test_windows_join_seamlessly(model, pairs, monkeypatch):
    expected = model.predict(pairs)
    monkeypatch.setattr("twopass.reranker.scorers.logits._WINDOW", 7)
    np.testing.assert_allclose(model.predict(pairs), expected, atol=1e-6)
    with pytest.raises(InputError, match="pair 11, document: expected valid Unicode"):
        model.predict([*pairs[:11], ("query", "\ud800")])


def test_draws_a_bar_only_when_asked(model, pairs, capsys):
    model.predict(pairs)
    assert capsys.readouterr() == ("", "")
    model.predict(pairs, show_progress_bar=True)
    out, err = capsys.readouterr()
    assert out == ""
    assert "scoring pairs" in err


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (None, "expected a list of .* found NoneType"),
        (7, "expected a list of .* found int 7"),
        ("text", "expected a list of .* found str 'text'"),
        ([("query", "document"), None], "pair 1: expected .* found NoneType"),
        ([("query", "document", "more")], "pair 0: expected .* found tuple of 3 items"),
        ([("query", "document"), "ab"], "pair 1: expected .* found str 'ab'"),
        (["query"], "pair 0: expected .* found list of 1 items"),
        ([("query", None)], "pair 0, document: expected a string, found NoneType"),
        ([(3.5, "document")], "pair 0, query: expected a string, found float 3.5"),
        ([("query", b"document")], "pair 0, document: expected a string, found bytes"),
        ([("query", "a\ud800")], r"pair 0, document: .*'\\ud800' at character 1"),
        ([("\udfff", "document")], "pair 0, query: expected valid Unicode"),
    ],
)
def test_names_what_is_wrong_with_the_input(model, bad, message):
    with pytest.raises(InputError, match=message):
        model.predict(bad)


def test_a_batch_of_no_size_and_a_string_of_documents_are_refused(model):
    with pytest.raises(InputError, match="expected batch_size of at least 1, found 0"):
        model.predict([("query", "document")], batch_size=0)
    with pytest.raises(InputError, match="expected a list of documents, found the string"):
        model.rank("query", "document")


def test_a_thousand_empty_texts_are_scored(model):
    scores = model.predict([("", "")] * 1000)
    assert scores.shape == (1000,)
    assert np.ptp(scores) < 1e-6


def test_five_megabytes_are_read_as_far_as_they_count(tiny):
    import time

    model = CrossEncoder(tiny("bert"), device="cpu")
    begun = time.perf_counter()
    long = model.logits([("berlin", "the capital of germany " * 220_000)])
    assert time.perf_counter() - begun < 1
    short = model.logits([("berlin", "the capital of germany " * 100)])
    assert long.truncated.all()
    np.testing.assert_array_equal(long.values, short.values)


def test_what_is_no_number_is_an_error(tiny, tmp_path):
    """Weights that are finite but too large: the model overflows while it runs."""
    import shutil

    from safetensors.torch import load_file, save_file

    folder = shutil.copytree(tiny("bert"), tmp_path / "large")
    weights = load_file(folder / "model.safetensors")
    weights["classifier.weight"].fill_(3e38)
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(RerankerError, match="found NaN or infinity for 1 pairs, the first pair 0"):
        CrossEncoder(folder, device="cpu").predict([("query", "document")])
