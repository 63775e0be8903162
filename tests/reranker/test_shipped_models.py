"""The models that ship, beside the original on real texts."""

from __future__ import annotations

import numpy as np
import pytest

from twopass.reranker.files.model_folder import locate_model
from twopass.reranker.scorers.cross_encoder import CrossEncoder

QUERY = "what are the symptoms of iron deficiency"
DOCUMENTS = [
    "Iron deficiency causes tiredness, pale skin and shortness of breath.",
    "Paris is the capital of France.",
    "Iron is a chemical element with the symbol Fe. " * 60,
    "",
]


@pytest.fixture(scope="module", params=["twopass/default", "twopass/tiny"])
def name(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def model(name) -> CrossEncoder:
    return CrossEncoder(name, device="cpu")


def test_the_first_is_the_default():
    assert CrossEncoder(device="cpu").fingerprint == CrossEncoder("twopass/default").fingerprint


def test_scores_what_the_original_scores(model, name):
    import torch
    from sentence_transformers import CrossEncoder as Original

    original = Original(
        str(locate_model(name)), device="cpu", model_kwargs={"dtype": torch.float32}
    )
    pairs = [(QUERY, document) for document in DOCUMENTS]
    np.testing.assert_allclose(model.predict(pairs), original.predict(pairs), atol=2e-5)


def test_tells_the_answer_from_the_rest(model):
    assert model.rank(QUERY, DOCUMENTS)[0]["corpus_id"] == 0


def test_bf16_keeps_the_order(model, name):
    half = CrossEncoder(name, device="cpu", precision="bf16")
    ranked = [[e["corpus_id"] for e in m.rank(QUERY, DOCUMENTS)] for m in (model, half)]
    assert ranked[0] == ranked[1]


def test_files_stay_small_enough_for_the_package(name):
    sizes = [file.stat().st_size for file in locate_model(name).iterdir()]
    assert max(sizes) < 70e6
    assert name != "twopass/tiny" or sum(sizes) < 10e6
