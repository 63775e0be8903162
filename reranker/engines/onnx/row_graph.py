"""Classifiers of BERT's kind as ONNX graphs, for rows of one length: no padding and no mask.

The graph takes token ids and frames, both (rows, length) int32, and gives logits, (rows, labels).
A frame is a segment and a place in one number, ``segment * places + place``. Biases are added by
the operator that follows a product where ONNX Runtime has attention and GELU fused with them.

A norm is an ``InstanceNormalization`` whose channels are the tokens: it takes a fifth of the time
that ONNX Runtime's ``LayerNormalization`` and ``SkipLayerNormalization`` take, which add up a token
number by number.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from twopass.reranker.architectures.bert import Classifier
from twopass.reranker.engines.onnx.graph import FUSED, Graph
from twopass.reranker.engines.onnx.products import Product
from twopass.reranker.files.weights import Weights

__all__ = ["build"]


def build(spec: Classifier, weights: Weights, product: Product) -> Graph:
    """Write the graph of a classifier.

    Args:
        spec: its sizes and names.
        weights: its weights, checked to be there.
        product: how a product with a weight is computed.

    Raises:
        ModelError: when a weight is no number.

    """
    return _Writer(spec, weights, product).written()


class _Writer:
    """Writes one graph; methods return the names of the values that they add."""

    def __init__(self, spec: Classifier, weights: Weights, product: Product) -> None:
        self._spec = spec
        self._weights = weights
        self._product = product
        self._graph = Graph()
        self._plain: tuple[str, str] | None = None  # scale and shift by which a norm does neither

    def written(self) -> Graph:
        spec, graph = self._spec, self._graph
        tokens = self._embedded()
        for block in spec.blocks[:-1]:
            tokens = self._finished(block, tokens, self._attended(block, tokens))
        last = spec.blocks[-1]
        first = graph.add("Gather", tokens, graph.constant(0), axis=1)
        self._plain = None  # from here on it is one token a row
        first = self._finished(last, first, self._attended_by_first(last, first, tokens))
        squashed = graph.add(spec.squash, self._linear(first, spec.dense))
        graph.output(self._linear(squashed, spec.output), ("rows", spec.labels))
        return graph

    def _embedded(self) -> str:
        """Add the sum of each token's three embeddings, normalised; the frame's are one."""
        graph, prefix = self._graph, f"{self._spec.encoder}embeddings."
        ids = graph.input("ids", "int32", ("rows", "length"))
        frames = graph.input("frames", "int32", ("rows", "length"))
        zeros = graph.add("ConstantOfShape", graph.add("Shape", ids, start=1))
        self._plain = graph.add("Add", zeros, graph.constant(1.0)), zeros
        name = f"{prefix}word_embeddings.weight"
        table = graph.array(name, self._weights.take(name))
        words = graph.widened(graph.add("Gather", table, ids), table)
        segments = self._weights.full(f"{prefix}token_type_embeddings.weight")
        places = self._weights.full(f"{prefix}position_embeddings.weight")
        summed = (segments[:, None] + places).reshape(-1, self._spec.hidden)
        framed = graph.add("Gather", graph.array(f"{prefix}frames", summed), frames)
        return self._normed(f"{prefix}LayerNorm", words, framed)

    def _attended(self, block: str, tokens: str) -> str:
        """Add what every token draws from its row, (rows, length, hidden)."""
        parts = [f"{block}attention.self.{name}" for name in ("query", "key", "value")]
        bias = np.concatenate([self._weights.full(f"{part}.bias") for part in parts])
        return self._graph.add(
            "MultiHeadAttention",
            *(self._multiplied(tokens, part) for part in parts),
            self._graph.array(f"{block}attention.self.bias", bias),
            domain=FUSED,
            num_heads=self._spec.heads,
        )

    def _attended_by_first(self, block: str, first: str, tokens: str) -> str:
        """Add what the first tokens draw from their rows, (rows, hidden).

        Keys and values of all tokens are not needed for that; see
        :meth:`twopass.reranker.engines.torch.packed.PackedLayer.first_tokens`.
        """
        graph, spec, prefix = self._graph, self._spec, f"{block}attention.self."
        width = spec.hidden // spec.heads
        by_head = (spec.heads, width, spec.hidden)
        keys = self._weights.full(f"{prefix}key.weight").reshape(by_head)
        values = self._weights.full(f"{prefix}value.weight").reshape(by_head)
        asked = self._linear(first, f"{prefix}query")
        asked = graph.add("Reshape", asked, graph.constant((-1, spec.heads, width)))
        scaled = graph.array(f"{prefix}key.scaled", keys / np.float32(np.sqrt(width)))
        sought = self._swapped(graph.add("MatMul", self._swapped(asked), scaled))
        found = graph.add("FusedMatMul", sought, tokens, domain=FUSED, transB=1)
        mixed = graph.add("MatMul", graph.add("Softmax", found, axis=-1), tokens)
        turned = graph.array(f"{prefix}value.turned", values.transpose(0, 2, 1))
        drawn = self._swapped(graph.add("MatMul", self._swapped(mixed), turned))
        joined = graph.add("Reshape", drawn, graph.constant((-1, spec.hidden)))
        return graph.add("Add", joined, self._array(f"{prefix}value.bias"))

    def _finished(self, block: str, tokens: str, drawn: str) -> str:
        """Add the layer's output for tokens, given what they drew by attention."""
        attended = self._added(f"{block}attention.output", tokens, drawn)
        wide = self._multiplied(attended, f"{block}intermediate.dense")
        bias = self._array(f"{block}intermediate.dense.bias")
        bent = self._graph.add("BiasGelu", wide, bias, domain=FUSED)
        return self._added(f"{block}output", attended, bent)

    def _added(self, name: str, residual: str, inner: str) -> str:
        bias = self._weights.full(f"{name}.dense.bias")
        product = self._multiplied(inner, f"{name}.dense", bias)
        return self._normed(f"{name}.LayerNorm", product, residual)

    def _normed(self, name: str, left: str, right: str) -> str:
        """Add the norm of a sum."""
        graph, epsilon = self._graph, self._spec.epsilon
        scale, shift = self._array(f"{name}.weight"), self._array(f"{name}.bias")
        summed = graph.add("Add", left, right)
        if self._plain is None:
            return graph.add("LayerNormalization", summed, scale, shift, epsilon=epsilon)
        normed = graph.add("InstanceNormalization", summed, *self._plain, epsilon=epsilon)
        return graph.add("Add", graph.add("Mul", normed, scale), shift)

    def _linear(self, rows: str, name: str) -> str:
        """Add a product with its bias, of (rows, hidden), in fp32: these are small."""
        weight, bias = self._array(f"{name}.weight"), self._array(f"{name}.bias")
        return self._graph.add("Gemm", rows, weight, bias, transB=1)

    def _multiplied(self, tokens: str, name: str, bias: NDArray[np.float32] | None = None) -> str:
        weight = self._weights.full(f"{name}.weight")
        return self._product(self._graph, tokens, name, weight, bias)

    def _swapped(self, values: str) -> str:
        """(rows, heads, ...) for (heads, rows, ...), and back."""
        return self._graph.add("Transpose", values, perm=(1, 0, 2))

    def _array(self, name: str) -> str:
        return self._graph.array(name, self._weights.full(name))
