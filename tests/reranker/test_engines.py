"""What engines do of their own, beyond giving the same scores."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from reranker.cross_encoder import CrossEncoder
from reranker.engines.packed import PackedEngine
from reranker.engines.torch import choose_device, memory_errors
from reranker.loading import load_model


def test_a_full_memory_is_a_memory_error():
    with pytest.raises(MemoryError), memory_errors():
        torch.empty(2**60, dtype=torch.int8)
    with pytest.raises(MemoryError), memory_errors():
        raise torch.OutOfMemoryError("CUDA out of memory")


def test_other_errors_stay_what_they_are():
    with pytest.raises(RuntimeError, match="shape"), memory_errors():
        torch.ones(2).view(3)


@pytest.mark.parametrize(
    ("kind", "packed"),
    [("bert", True), ("roberta", True), ("modernbert", False), ("distilbert", False)],
)
def test_chooses_the_packed_engine_where_the_model_suits(tiny, kind, packed):
    assert isinstance(load_model(tiny(kind), device="cpu").engine, PackedEngine) is packed


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
