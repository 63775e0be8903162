"""Classifiers as ONNX graphs for rows of one length: no padding and no mask.

The graph takes token ids and frames, both (rows, length) int32, and gives logits, (rows, labels);
see :meth:`twopass.reranker.architectures.family.Architecture.frames`. Biases are added by the
operator that follows a product where ONNX Runtime has attention and GELU fused with them.

A norm is an ``InstanceNormalization`` whose channels are the tokens: it takes a fifth of the time
that ONNX Runtime's ``LayerNormalization`` and ``SkipLayerNormalization`` take, which add up a token
number by number.
"""

from __future__ import annotations

import numpy as np

from twopass.reranker.architectures.family import Activation, Architecture, Embeddings, Layer
from twopass.reranker.engines.onnx.graph import FUSED, Graph
from twopass.reranker.engines.onnx.products import Product, WeightedGraph
from twopass.reranker.files.weights import Weights

__all__ = ["build_row_graph"]


def build_row_graph(architecture: Architecture, weights: Weights, product: Product) -> Graph:
    """Return the graph of a classifier.

    Args:
        architecture: its sizes and names.
        weights: its weights, checked to be there.
        product: how a product with a weight is computed.

    Raises:
        ModelError: when a weight is not finite.

    """
    operations = _RowOperations(architecture, weights, product)
    logits = architecture.run(operations)
    operations.graph.output(logits, ("rows", architecture.labels))
    return operations.graph


class _RowOperations(WeightedGraph):
    """Adds nodes to one graph; each method returns the name of the value that it adds."""

    def __init__(self, architecture: Architecture, weights: Weights, product: Product) -> None:
        super().__init__(weights)
        self._heads, self._hidden = architecture.heads, architecture.hidden
        self._epsilon = architecture.epsilon
        self._product = product
        self._plain: tuple[str, str] | None = None  # scale and shift by which a norm does neither

    def embed(self, names: Embeddings) -> str:
        """Add the normed sum of each token's embeddings; those of a frame are one table."""
        graph = self.graph
        ids = graph.input("ids", "int32", ("rows", "length"))
        frames = graph.input("frames", "int32", ("rows", "length"))
        zeros = graph.add("ConstantOfShape", graph.add("Shape", ids, start=1))
        self._plain = graph.add("Add", zeros, graph.constant(1.0)), zeros
        words = self.look_up(names.words, ids)
        table = self.weights.full(f"{names.positions}.weight")
        if names.types is not None:
            types = self.weights.full(f"{names.types}.weight")
            table = (types[:, None] + table).reshape(-1, self._hidden)
        framed = graph.add("Gather", graph.array(f"{names.positions}.frames", table), frames)
        return self._normed(names.norm, words, framed)

    def attend(self, tokens: str, layer: Layer) -> str:
        """Add what every token draws from its row, (rows, length, hidden)."""
        parts = (layer.query, layer.key, layer.value)
        bias = np.concatenate([self.weights.full(f"{part}.bias") for part in parts])
        return self.graph.add(
            "MultiHeadAttention",
            *(self._multiplied(tokens, part) for part in parts),
            self.graph.array(f"{layer.query}.joined_bias", bias),
            domain=FUSED,
            num_heads=self._heads,
        )

    def first(self, tokens: str) -> str:
        """Add the first tokens, (rows, hidden)."""
        self._plain = None  # from here on it is one token a row
        return self.graph.add("Gather", tokens, self.graph.constant(0), axis=1)

    def attend_first(self, first: str, tokens: str, layer: Layer) -> str:
        """Add what the first tokens draw from their rows, (rows, hidden).

        Keys and values of all tokens are not needed for that; see
        :meth:`twopass.reranker.engines.torch.packed.PackedBatch.attend_first`.
        """
        graph, width = self.graph, self._hidden // self._heads
        by_head = (self._heads, width, self._hidden)
        keys = self.weights.full(f"{layer.key}.weight").reshape(by_head)
        values = self.weights.full(f"{layer.value}.weight").reshape(by_head)
        query = self.project(first, layer.query)
        query = graph.add("Reshape", query, graph.constant((-1, self._heads, width)))
        scaled = graph.array(f"{layer.key}.scaled", keys / np.float32(np.sqrt(width)))
        by_token = self._swapped(graph.add("MatMul", self._swapped(query), scaled))
        scores = graph.add("FusedMatMul", by_token, tokens, domain=FUSED, transB=1)
        mixed = graph.add("MatMul", graph.add("Softmax", scores, axis=-1), tokens)
        turned = graph.array(f"{layer.value}.turned", values.transpose(0, 2, 1))
        context = self._swapped(graph.add("MatMul", self._swapped(mixed), turned))
        joined = graph.add("Reshape", context, graph.constant((-1, self._hidden)))
        return graph.add("Add", joined, self.array(f"{layer.value}.bias"))

    def dense(self, tokens: str, name: str, activation: Activation) -> str:
        """Add the activation of a product."""
        wide = self._multiplied(tokens, name)
        bias = self.array(f"{name}.bias")
        if activation == "gelu":
            return self.graph.add("BiasGelu", wide, bias, domain=FUSED)
        return self.activated(self.graph.add("Add", wide, bias), activation)

    def add_norm(self, residual: str, inner: str, dense: str, norm: str) -> str:
        """Add the norm of the residual and a product."""
        product = self._multiplied(inner, dense, with_bias=True)
        return self._normed(norm, product, residual)

    def rows(self, first: str) -> str:
        """Return the first tokens, which are a matrix."""
        return first

    def _normed(self, name: str, left: str, right: str) -> str:
        """Add the norm of a sum."""
        graph, epsilon = self.graph, self._epsilon
        scale, shift = self.array(f"{name}.weight"), self.array(f"{name}.bias")
        summed = graph.add("Add", left, right)
        if self._plain is None:
            return graph.add("LayerNormalization", summed, scale, shift, epsilon=epsilon)
        normed = graph.add("InstanceNormalization", summed, *self._plain, epsilon=epsilon)
        return graph.add("Add", graph.add("Mul", normed, scale), shift)

    def _multiplied(self, tokens: str, name: str, *, with_bias: bool = False) -> str:
        weight = self.weights.full(f"{name}.weight")
        bias = self.weights.full(f"{name}.bias") if with_bias else None
        return self._product(self.graph, tokens, name, weight, bias)

    def _swapped(self, values: str) -> str:
        """(rows, heads, ...) for (heads, rows, ...), and back."""
        return self.graph.add("Transpose", values, perm=(1, 0, 2))
