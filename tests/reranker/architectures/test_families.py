"""Each family against transformers: names and shapes of all weights, and every engine's logits."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from twopass.reranker.architectures import (
    _families,
    architecture_of,
    known_types,
    model_architecture,
    token_types,
)
from twopass.reranker.architectures.family import position_ids
from twopass.reranker.scorers.cross_encoder import CrossEncoder

KINDS = sorted(_families())


def config_of(folder) -> dict:
    return json.loads((folder / "config.json").read_text())


def logits_of_transformers(folder, pairs) -> np.ndarray:
    """One pair at a time, so without any padding."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    rows = [
        tokenizer([pair], truncation="only_second", max_length=64, return_tensors="pt")
        for pair in pairs
    ]
    with torch.no_grad():
        return np.concatenate([model(**row).logits.numpy() for row in rows])


@pytest.fixture(scope="module")
def pairs(texts) -> list[tuple[str, str]]:
    documents = [*texts, "", "river", " ".join(texts)]
    return [(query, document) for query in ("berlin", "who lives there?") for document in documents]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("labels", [1, 3])
def test_every_weight_is_known_by_name_and_shape(tiny, kind, labels):
    model = AutoModelForSequenceClassification.from_pretrained(tiny(kind, labels))
    architecture = architecture_of(config_of(tiny(kind, labels)))
    assert architecture is not None
    assert model_architecture(model) == architecture
    found = {name: tuple(weight.shape) for name, weight in model.named_parameters()}
    assert architecture.shapes() == found
    assert architecture.max_tokens == 64


@pytest.mark.parametrize("engine", ["onnx", "packed"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("labels", [1, 3])
def test_logits_are_those_of_transformers(tiny, pairs, kind, labels, engine):
    expected = logits_of_transformers(tiny(kind, labels), pairs)
    found = CrossEncoder(tiny(kind, labels), device="cpu", engine=engine).logits(pairs)
    assert np.ptp(expected) > 0.1
    assert {bool(cut) for cut in found.truncated} == {True, False}, "short and long inputs"
    np.testing.assert_allclose(
        np.reshape(found.values, expected.shape), expected, atol=1e-5, rtol=1e-5
    )


@pytest.mark.parametrize("engine", ["onnx", "packed"])
@pytest.mark.parametrize(
    ("kind", "setting"), [("bert", "hidden_act"), ("distilbert", "activation")]
)
def test_another_activation_is_that_of_transformers(tiny, pairs, tmp_path, kind, setting, engine):
    folder = shutil.copytree(tiny(kind), tmp_path / "model")
    (folder / "config.json").write_text(json.dumps(config_of(folder) | {setting: "relu"}))
    expected = logits_of_transformers(folder, pairs)
    assert np.abs(expected - logits_of_transformers(tiny(kind), pairs)).max() > 1e-3
    found = CrossEncoder(folder, device="cpu", engine=engine).logits(pairs).values
    np.testing.assert_allclose(np.reshape(found, expected.shape), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    "change",
    [
        {"activation": "gelu_new"},
        {"quantization_config": {"bits": 8}},
        {"n_layers": 0},
        {"dim": None},
        {"model_type": "deberta-v2"},
    ],
)
def test_what_is_unusual_is_not_described(tiny, change):
    config = config_of(tiny("distilbert"))
    assert architecture_of(config) is not None
    assert architecture_of(config | change) is None


def test_models_of_another_class_are_not_known(tiny):
    model = AutoModelForSequenceClassification.from_pretrained(tiny("modernbert"))
    assert model_architecture(model) is None
    own = type("OwnBert", (torch.nn.Module,), {})()
    own.config = AutoModelForSequenceClassification.from_pretrained(tiny("bert")).config
    assert model_architecture(own) is None


def test_families_are_found_by_themselves():
    assert {"bert", "distilbert", "roberta"} < set(known_types().split(", "))


@pytest.mark.parametrize("name", ["Bert", "DistilBert", "Electra", "Roberta", "XLMRoberta"])
def test_tokenizers_give_token_types_as_their_classes_do(name):
    import transformers

    names = getattr(transformers, f"{name}Tokenizer").model_input_names
    assert token_types(f"{name}Tokenizer") == ("token_type_ids" in names)
    assert token_types("OwnTokenizer") is None


def test_a_family_is_one_module(tmp_path, monkeypatch):
    """A module that lies in the package's folders is all that it takes."""
    from twopass.reranker import architectures

    (tmp_path / "squarebert.py").write_text(
        "from dataclasses import replace\n"
        "from twopass.reranker.architectures.bert import FAMILIES as BERTS\n"
        "FAMILIES = (replace(BERTS[0], model_type='squarebert', classifier='SquareBert'),)\n"
    )
    monkeypatch.setattr(architectures, "__path__", [*architectures.__path__, str(tmp_path)])
    _families.cache_clear()
    try:
        assert "squarebert" in known_types()
    finally:
        _families.cache_clear()


def test_positions_are_counted_within_each_row():
    ids, offsets = np.array([5, 1, 7, 8, 1, 9], dtype=np.int32), np.array([0, 2, 2, 6])
    assert position_ids(ids, offsets).tolist() == [0, 1, 0, 1, 2, 3]
    assert position_ids(ids, offsets, pad_id=1).tolist() == [2, 1, 2, 3, 1, 4]
