"""Which precision is fast on the machine at hand: measured, for no processor's flag tells it."""

from __future__ import annotations

import math
import time
from functools import cache
from typing import TYPE_CHECKING, Any

from reranker.engines.torch import Precision, torch_dtype

if TYPE_CHECKING:
    import torch
    from torch import nn

__all__ = ["faster_precision"]

_TOKENS, _TRIES = 256, 5
_GAIN = 1.25  # for less, scores are not to be rounded


def faster_precision(model: nn.Module, device: torch.device) -> Precision:
    """Return ``"bf16"`` where it computes the model's largest product clearly faster, else fp32.

    It takes milliseconds, once a process for models of one width, device and number of threads.
    """
    import torch
    from torch import nn

    shapes = [m.weight.shape for m in model.modules() if isinstance(m, nn.Linear)]
    rows, columns = max(shapes, key=math.prod)
    return _measured(device, rows, columns, torch.get_num_threads())


@cache
def _measured(device: torch.device, rows: int, columns: int, threads: int) -> Precision:  # noqa: ARG001
    import torch

    with torch.inference_mode():
        full, half = (
            _seconds(
                torch.ones(_TOKENS, columns, device=device, dtype=torch_dtype(precision)),
                torch.ones(rows, columns, device=device, dtype=torch_dtype(precision)),
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
