"""Which precision is fast on the machine at hand: measured, for no processor's flag tells it."""

from __future__ import annotations

import math
import time
from functools import cache
from typing import TYPE_CHECKING, Any

from reranker.engines.torch import Precision, torch_dtype

if TYPE_CHECKING:
    import torch

__all__ = ["faster_precision"]

_TOKENS, _TRIES = 256, 5
_GAIN = 1.5  # for less, scores are not to be rounded: products are most of the time, not all


def faster_precision(width: int, device: torch.device) -> Precision:
    """Return ``"bf16"`` where it computes a layer's largest product clearly faster, else fp32.

    It takes milliseconds, once a process for models of one width, device and number of threads.

    Args:
        width: of the model's activations.
        device: where it would run.

    """
    import torch

    return _measured(device, width, torch.get_num_threads())


@cache
def _measured(device: torch.device, width: int, threads: int) -> Precision:  # noqa: ARG001
    import torch

    with torch.inference_mode():
        full, half = (
            _seconds(
                torch.ones(_TOKENS, width, device=device, dtype=torch_dtype(precision)),
                torch.ones(4 * width, width, device=device, dtype=torch_dtype(precision)),
            )
            for precision in ("fp32", "bf16")
        )
    return "bf16" if half * _GAIN < full else "fp32"


def _seconds(tokens: Any, weight: Any) -> float:
    """Time the product of one layer; the best of several, after one that warms up."""
    import torch

    best = math.inf
    for attempt in range(_TRIES + 1):
        begun = time.perf_counter()
        torch.nn.functional.linear(tokens, weight)
        if tokens.is_cuda:
            torch.cuda.synchronize(tokens.device)
        if attempt:
            best = min(best, time.perf_counter() - begun)
    return best
