"""Encoders as scorers: equal to sentence-transformers, whatever the folder says of its use."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from twopass.reranker.contract.errors import InputError, ModelError
from twopass.reranker.scorers.encoders import BiEncoderScorer
from twopass.reranker.scorers.encoders.embedder import packed, unpacked
from twopass.reranker.scorers.encoders.layout import read_layout

QUERIES = ["What is the capital of Germany?", "modern art"]


@pytest.fixture(scope="module")
def folders(tiny, tmp_path_factory):
    """Save tiny encoders as sentence-transformers does: by pooling, with prompts."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer

    made: dict[str, Path] = {}
    for pooling in ("mean", "cls", "max", "lasttoken"):
        transformer = Transformer(str(tiny("bert")), max_seq_length=40)
        modules = [transformer, Pooling(32, pooling), Normalize()]
        prompts = {"query": "capital ", "document": "berlin "}
        made[pooling] = tmp_path_factory.mktemp(f"encoder-{pooling}")
        SentenceTransformer(modules=modules, device="cpu", prompts=prompts).save(str(made[pooling]))
    return made


@pytest.mark.parametrize("pooling", ["mean", "cls", "max", "lasttoken"])
def test_scores_equal_sentence_transformers(folders, texts, pooling):
    from sentence_transformers import SentenceTransformer

    peer = SentenceTransformer(str(folders[pooling]), device="cpu")
    documents = [*texts, "", texts[1] * 5]
    expected = peer.similarity(
        peer.encode(QUERIES, prompt_name="query"),
        peer.encode(documents, prompt_name="document"),
    )
    ours = BiEncoderScorer(folders[pooling], device="cpu", token_budget=64)
    pairs = [(query, document) for query in QUERIES for document in documents]
    np.testing.assert_allclose(ours.predict(pairs), expected.ravel(), atol=1e-5)


def test_what_is_given_counts_more_than_the_files(folders, texts):
    ours = BiEncoderScorer(
        folders["mean"], device="cpu", pooling="cls", query_prefix="", passage_prefix=""
    )
    plain = BiEncoderScorer(folders["cls"], device="cpu", query_prefix="", passage_prefix="")
    pairs = [(QUERIES[0], text) for text in texts]
    np.testing.assert_allclose(ours.predict(pairs), plain.predict(pairs), atol=1e-6)
    prefixed = BiEncoderScorer(folders["cls"], device="cpu")
    assert not np.allclose(prefixed.predict(pairs), plain.predict(pairs), atol=1e-3)


@pytest.mark.parametrize(("dtype", "tolerance"), [("float16", 1e-3), ("int8", 2e-2)])
def test_stored_embeddings_are_read(folders, texts, tmp_path, dtype, tolerance):
    plain = BiEncoderScorer(folders["mean"], device="cpu")
    plain.store(tmp_path, texts[:3], dtype=dtype)
    plain.store(tmp_path, texts[:4], dtype=dtype)
    stored = BiEncoderScorer(folders["mean"], device="cpu", stored=tmp_path)
    pairs = [(QUERIES[0], text) for text in texts]
    np.testing.assert_allclose(stored.predict(pairs), plain.predict(pairs), atol=tolerance)
    for file in tmp_path.rglob("values.npy"):  # that they are read shows when they are wrong
        np.save(file, np.zeros_like(np.load(file)))
    wrong = BiEncoderScorer(folders["mean"], device="cpu", stored=tmp_path).predict(pairs)
    assert (wrong[:4] == 0).all()
    assert wrong[4] == pytest.approx(plain.predict(pairs)[4], abs=1e-6)
    other = BiEncoderScorer(folders["cls"], device="cpu", stored=tmp_path)
    assert (other.predict(pairs) != 0).all(), "another encoder's embeddings are passed over"


def test_a_passage_is_computed_once_as_long_as_it_is_remembered(folders, texts, monkeypatch):
    ours = BiEncoderScorer(folders["mean"], device="cpu", remembered=3)
    computed: list[str] = []
    compute = ours._passages.compute
    monkeypatch.setattr(
        ours._passages, "compute", lambda new: (computed.extend(new), compute(new))[1]
    )
    first = ours.predict([("q", texts[0]), ("q", texts[1]), ("p", texts[0])])
    again = ours.predict([("q", texts[0]), ("q", texts[1]), ("p", texts[0])])
    np.testing.assert_array_equal(first, again)
    assert computed == texts[:2]
    ours.predict([("q", text) for text in texts])
    assert computed == texts


def test_embeddings_survive_packing():
    embeddings = np.random.default_rng(0).normal(size=(5, 32)).astype(np.float32)
    for dtype, tolerance in (("float16", 2e-3), ("int8", 2e-2)):
        back = np.stack([unpacked(row) for row in packed(embeddings, dtype)])
        np.testing.assert_allclose(back, embeddings, atol=tolerance)


def test_details_and_bad_input(folders, texts):
    ours = BiEncoderScorer(folders["mean"], device="cpu")
    assert ours.score([]).values.shape == (0,)
    assert ours.score([("q", texts[0])]).by == str(folders["mean"])
    assert ours.score([("q", texts[0])], deadline=0.0).scored == 0
    with pytest.raises(InputError, match="surrogate"):
        ours.predict([("q", "\ud800")])


@pytest.mark.parametrize(
    ("name", "pooling", "prefixes"),
    [
        ("intfloat/e5-small-v2", "mean", ("query: ", "passage: ")),
        (
            "/models/bge-small-en-v1.5",
            "cls",
            ("Represent this sentence for searching relevant passages: ", ""),
        ),
        ("anything", "mean", ("", "")),
    ],
)
def test_families_are_known_by_name(tmp_path, name, pooling, prefixes):
    layout = read_layout(tmp_path, name)
    assert (layout.pooling, (layout.query_prefix, layout.passage_prefix)) == (pooling, prefixes)


def test_other_modules_are_refused(tmp_path):
    modules = [{"type": "a.Transformer", "path": ""}, {"type": "a.Dense", "path": "2_Dense"}]
    (tmp_path / "modules.json").write_text(json.dumps(modules))
    with pytest.raises(ModelError, match="Transformer, Dense"):
        read_layout(tmp_path, "x")


def test_a_real_encoder_equals_sentence_transformers(texts):
    """Where ``TWOPASS_TEST_E5`` names the folder of e5-small-v2."""
    folder = os.environ.get("TWOPASS_TEST_E5")
    if not folder:
        pytest.skip("TWOPASS_TEST_E5 names no folder of e5-small-v2")
    from sentence_transformers import SentenceTransformer

    peer = SentenceTransformer(folder, device="cpu")
    expected = peer.similarity(
        peer.encode([f"query: {query}" for query in QUERIES]),
        peer.encode([f"passage: {text}" for text in texts]),
    )
    pairs = [(query, text) for query in QUERIES for text in texts]
    ours = BiEncoderScorer(folder, device="cpu").predict(pairs)
    np.testing.assert_allclose(ours, expected.ravel(), atol=1e-5)
