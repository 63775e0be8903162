"""A graph with a model's weights, and how tokens are multiplied with one: in fp32, or in int8."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from twopass.reranker.architectures.family import Activation
from twopass.reranker.engines.onnx.graph import FUSED, Graph
from twopass.reranker.files.weights import Weights

__all__ = ["Fp32", "Int8", "Product", "WeightedGraph", "quantised"]

_ACTIVATIONS: Mapping[Activation, str] = {"gelu": "Gelu", "relu": "Relu", "tanh": "Tanh"}


class WeightedGraph:
    """What both kinds of graphs add alike; methods return the name of the value that they add.

    Args:
        weights: the model's.

    Attributes:
        graph: what the nodes are added to.
        weights: as passed.

    """

    def __init__(self, weights: Weights) -> None:
        self.graph = Graph()
        self.weights = weights

    def array(self, name: str) -> str:
        """Add a weight as float32."""
        return self.graph.array(name, self.weights.full(name))

    def look_up(self, name: str, ids: str) -> str:
        """Add rows of a table, as float32."""
        table = self.graph.array(f"{name}.weight", self.weights.take(f"{name}.weight"))
        return self.graph.widened(self.graph.add("Gather", table, ids), table)

    def project(self, rows: str, name: str, activation: Activation | None = None) -> str:
        """Add a product with its bias, of (rows, hidden), in fp32: these are small."""
        weight, bias = self.array(f"{name}.weight"), self.array(f"{name}.bias")
        product = self.graph.add("Gemm", rows, weight, bias, transB=1)
        return product if activation is None else self.activated(product, activation)

    def activated(self, values: str, activation: Activation) -> str:
        """Add an activation of values."""
        return self.graph.add(_ACTIVATIONS[activation], values)


class Product(Protocol):
    """Adds products to one graph."""

    def __call__(
        self,
        graph: Graph,
        tokens: str,
        name: str,
        weight: NDArray[np.float32],
        bias: NDArray[np.float32] | None = None,
    ) -> str:
        """Add a product and return its name.

        Args:
            graph: where to.
            tokens: the name of what is multiplied, (..., columns) float32.
            name: prefix of the weight's and the bias's.
            weight: (rows, columns), as torch's linear layers have it.
            bias: (rows,), to be added where nothing that follows does.

        Returns:
            The name of (..., rows) float32.

        """
        ...


class Fp32:
    """Multiplies with weights as they are stored; ONNX Runtime packs them for its kernels."""

    def __call__(
        self,
        graph: Graph,
        tokens: str,
        name: str,
        weight: NDArray[np.float32],
        bias: NDArray[np.float32] | None = None,
    ) -> str:
        """Add a product; see :class:`Product`."""
        array = graph.array(f"{name}.weight", weight)
        product = graph.add("FusedMatMul", tokens, array, domain=FUSED, transB=1)
        return product if bias is None else graph.add("Add", product, _bias(graph, name, bias))


class Int8:
    """Multiplies integers of eight bits: weights by fixed scales, tokens by the range they have.

    Args:
        bits: of a weight; seven where the processor's sums of two products saturate at sixteen
            bits, as those of AVX2 do.

    """

    def __init__(self, bits: int = 8) -> None:
        self._limit = 2 ** (bits - 1) - 1
        self._tokens: dict[str, list[str]] = {}

    def __call__(
        self,
        graph: Graph,
        tokens: str,
        name: str,
        weight: NDArray[np.float32],
        bias: NDArray[np.float32] | None = None,
    ) -> str:
        """Add a product; see :class:`Product`."""
        if tokens not in self._tokens:  # query, key and value multiply the same tokens
            self._tokens[tokens] = graph.split("DynamicQuantizeLinear", tokens, parts=3)
        levels, scale, zero = self._tokens[tokens]
        numbers, scales = quantised(weight, self._limit)
        return graph.add(
            "MatMulIntegerToFloat",
            levels,
            graph.array(f"{name}.int8", numbers.T),
            scale,
            graph.array(f"{name}.scales", scales),
            zero,
            *(() if bias is None else ("", _bias(graph, name, bias))),
            domain=FUSED,
        )


def _bias(graph: Graph, name: str, bias: NDArray[np.float32]) -> str:
    return graph.array(f"{name}.bias", bias)


def quantised(
    weight: NDArray[np.float32], limit: int
) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Return each row as integers from -limit to limit, (rows, columns), and its scale, (rows,)."""
    largest = np.abs(weight).max(axis=1)
    scales = (np.where(largest > 0, largest, 1) / limit).astype(np.float32)
    return np.rint(weight / scales[:, None]).astype(np.int8), scales
