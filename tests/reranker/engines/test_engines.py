"""What engines do of their own, beyond giving the same scores."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from twopass.reranker.engines import precision
from twopass.reranker.engines.onnx.engine import OnnxEngine
from twopass.reranker.engines.precision import faster_precision
from twopass.reranker.engines.torch.engine import (
    TorchEngine,
    choose_device,
    memory_errors,
    padded_width,
)
from twopass.reranker.engines.torch.packed import PackedEngine
from twopass.reranker.files.model_folder import ModelFolder
from twopass.reranker.scorers.cross_encoder import CrossEncoder
from twopass.reranker.scorers.loaded_model import load_model
from twopass.reranker.text.tokens import TokenRows


def test_a_full_memory_is_a_memory_error():
    with pytest.raises(MemoryError), memory_errors():
        torch.empty(2**60, dtype=torch.int8)
    with pytest.raises(MemoryError), memory_errors():
        raise torch.OutOfMemoryError("CUDA out of memory")


def test_other_errors_stay_what_they_are():
    with pytest.raises(RuntimeError, match="shape"), memory_errors():
        torch.ones(2).view(3)


@pytest.mark.parametrize(
    ("kind", "engine", "half"),
    [
        ("bert", OnnxEngine, PackedEngine),
        ("roberta", OnnxEngine, PackedEngine),
        ("modernbert", TorchEngine, TorchEngine),
        ("distilbert", OnnxEngine, PackedEngine),
    ],
)
def test_chooses_the_fastest_engine_that_takes_the_model(tiny, kind, engine, half):
    assert isinstance(load_model(tiny(kind), device="cpu").engine, engine)
    assert isinstance(load_model(tiny(kind), device="cpu", precision="bf16").engine, half)


def test_the_device_is_a_gpu_only_where_there_is_one():
    assert choose_device(None).type == ("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("engine", ["torch", "packed"])
def test_a_gpu_gives_the_same_scores(tiny, texts, engine):
    pairs = [(query, document) for query in texts[:2] for document in texts]
    expected = CrossEncoder(tiny("bert", 3), device="cpu", max_query_length=20).predict(pairs)
    model = CrossEncoder(tiny("bert", 3), device="cuda", engine=engine, max_query_length=20)
    np.testing.assert_allclose(model.predict(pairs), expected, atol=1e-3)


def test_threads_and_gradients_are_left_as_they_were(tiny):
    threads = torch.get_num_threads()
    CrossEncoder(tiny("bert"), device="cpu").predict([("query", "document")])
    assert torch.get_num_threads() == threads
    assert torch.is_grad_enabled()
    assert not torch.is_inference_mode_enabled()


def test_auto_is_the_precision_that_was_measured_once_for_all_models_of_a_width(tiny, texts):
    pairs = [(texts[0], document) for document in texts]
    model = CrossEncoder(tiny("bert"), device="cpu", precision="auto")
    width = ModelFolder.read(tiny("bert")).config["hidden_size"]
    chosen = faster_precision(width, torch.device("cpu"))
    assert chosen in ("fp32", "bf16")
    fixed = CrossEncoder(tiny("bert"), device="cpu", precision=chosen)
    np.testing.assert_array_equal(model.predict(pairs), fixed.predict(pairs))
    assert model.fingerprint == fixed.fingerprint, "scores that were kept are those of either"


@pytest.mark.parametrize(
    ("gain", "expected", "kind"), [(1e9, "fp32", OnnxEngine), (1e-9, "bf16", PackedEngine)]
)
def test_auto_takes_bf16_only_for_a_gain(tiny, monkeypatch, gain, expected, kind):
    monkeypatch.setattr(precision, "_GAIN", gain)
    precision._measured.cache_clear()
    try:
        assert faster_precision(384, torch.device("cpu")) == expected
        assert isinstance(load_model(tiny("bert"), device="cpu", precision="auto").engine, kind)
        only = load_model(tiny("bert"), device="cpu", precision="auto", engine="onnx").engine
        assert isinstance(only, OnnxEngine)
    finally:
        precision._measured.cache_clear()


@pytest.mark.parametrize(
    ("longest", "precision", "positions", "expected"),
    [
        (17, "bf16", 512, 32),
        (32, "bf16", 512, 32),
        (490, "bf16", 500, 496),
        (499, "bf16", 500, 500),
        (499, "bf16", None, 512),
        (17, "fp32", 512, 17),
    ],
)
def test_batches_are_of_few_widths_on_a_cpu_in_16_bits(longest, precision, positions, expected):
    batch = TokenRows(
        np.zeros(longest + 3, dtype=np.int32),
        np.zeros(longest + 3, dtype=np.int8),
        np.array([0, 3, longest + 3]),
    )
    assert padded_width(batch, torch.device("cpu"), precision, positions) == expected


@pytest.mark.parametrize("kind", ["bert", "roberta", "electra", "distilbert", "camembert"])
@pytest.mark.parametrize("labels", [1, 3])
def test_the_packed_engine_gives_the_logits_of_the_model(tiny, texts, kind, labels):
    pairs = [(texts[i % 2][:20], document) for i, document in enumerate(texts * 3)]
    packed, padded = (
        CrossEncoder(tiny(kind, labels), device="cpu", engine=engine).logits(pairs).values
        for engine in ("packed", "torch")
    )
    assert np.ptp(padded) > 0.1
    np.testing.assert_allclose(packed, padded, atol=1e-5, rtol=1e-5)
