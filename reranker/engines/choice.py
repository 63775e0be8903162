"""Which engine runs a model: the only place where engines are chosen by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from reranker.base import ModelError
from reranker.engines.base import Engine
from reranker.engines.packed import PackedEngine
from reranker.engines.precision import faster_precision
from reranker.engines.torch import TorchEngine
from reranker.tokenizer import ModelTokenizer

if TYPE_CHECKING:
    import torch
    from torch import nn

__all__ = ["EngineName", "PrecisionName", "choose_engine"]

PrecisionName = Literal["auto", "fp32", "bf16", "fp16"]
EngineName = Literal["auto", "packed", "torch"]


def choose_engine(
    model: nn.Module,
    tokenizer: ModelTokenizer,
    *,
    device: torch.device,
    precision: PrecisionName,
    name: EngineName,
) -> Engine:
    """Return the engine of that name, or the fastest that takes the model on the device.

    Raises:
        ModelError: when the engine is unknown or does not take the model.

    """
    if name not in ("auto", "packed", "torch"):
        raise ModelError(f"expected an engine of auto, packed, torch, found {name!r}")
    suits = PackedEngine.suits(model)
    if name == "packed" and not suits:
        raise ModelError(
            f"expected a model of BERT's kind for engine 'packed', found {type(model).__name__}; "
            "engine='torch' takes it"
        )
    chosen = faster_precision(model, device) if precision == "auto" else precision
    # a GPU is starved by the many small attention groups; it has the padded batches
    if name == "packed" or (name == "auto" and suits and device.type == "cpu"):
        return PackedEngine(model, typed=tokenizer.typed, device=device, precision=chosen)
    return TorchEngine(model, tokenizer, device=device, precision=chosen)
