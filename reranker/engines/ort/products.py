"""How a token is multiplied with a weight: in fp32, or in int8."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from reranker.engines.ort.graph import FUSED, Graph

__all__ = ["Product", "fp32"]

# (graph, tokens (..., columns), the weight's name, weight (rows, columns)) -> (..., rows)
Product: TypeAlias = Callable[[Graph, str, str, NDArray[np.float32]], str]


def fp32(graph: Graph, tokens: str, name: str, weight: NDArray[np.float32]) -> str:
    """Multiply with the weight as it is stored; ONNX Runtime packs it as its kernels want it."""
    return graph.add("FusedMatMul", tokens, graph.array(name, weight), domain=FUSED, transB=1)
