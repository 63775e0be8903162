"""Classifiers as ONNX graphs that any runtime reads: standard operators only.

The graph takes what transformers' tokenizers give, ``input_ids``, ``attention_mask`` and, where the
model has several token types, ``token_type_ids``, each (batch, sequence) int64, and gives
``logits``, (batch, labels) float32. ONNX Runtime fuses norms, GELU and the integers' products as it
loads it. Weights lie in the file as the model's folder has them: those in half precision are
widened once, when a session is made, and products are fp32.
"""

from __future__ import annotations

import math

import numpy as np

from twopass.reranker.architectures.family import Activation, Architecture, Embeddings, Layer
from twopass.reranker.contract.errors import ModelError
from twopass.reranker.engines.onnx.graph import TYPES
from twopass.reranker.engines.onnx.products import WeightedGraph, quantised
from twopass.reranker.files.weights import Weights

__all__ = ["INT8_BITS", "write_standard"]

INT8_BITS = 7  # the file may be run where eight by eight bits overflow sums of sixteen (AVX2)
_OPSETS = {"": 17}
_IR_VERSION = 8
_LARGEST = 2**31 - 2**20  # bytes of a protocol buffer, and some for the graph itself
_FAR = -1e9  # added to the scores of what is masked: its share becomes 0


def write_standard(architecture: Architecture, weights: Weights, *, int8: bool = False) -> bytes:
    """Return an ONNX model with its weights.

    Args:
        architecture: the model's sizes and names.
        weights: its weights, checked to be there.
        int8: multiply in integers of eight bits: weights in rows of one scale each, tokens by the
            range that a batch has. Embeddings, attention and the head stay as they are.

    Raises:
        ModelError: when a weight is not finite, or there is more than one file can hold.

    """
    operations = _StandardOperations(architecture, weights, int8=int8)
    graph = operations.graph
    graph.output(architecture.run(operations), ("batch", architecture.labels))
    size = sum(array.nbytes for array in graph.arrays.values())
    if size > _LARGEST:
        raise ModelError(
            f"expected weights of at most {_LARGEST / 1e9:.1f} GB for one ONNX file, "
            f"found {size / 1e9:.1f}; store the model in half precision"
        )
    return graph.written(whole=True, opsets=_OPSETS, ir_version=_IR_VERSION)


class _StandardOperations(WeightedGraph):
    """Adds nodes to one graph; each method returns the name of the value that it adds."""

    def __init__(self, architecture: Architecture, weights: Weights, *, int8: bool) -> None:
        super().__init__(weights)
        self._spec, self._int8 = architecture, int8
        self._levels: dict[str, list[str]] = {}
        self._ids = self.graph.input("input_ids", "int64", ("batch", "sequence"))
        self._mask = self.graph.input("attention_mask", "int64", ("batch", "sequence"))
        self._penalty = ""

    def embed(self, names: Embeddings) -> str:
        """Add the normed sum of each token's embeddings, (batch, sequence, hidden)."""
        graph = self.graph
        words = self.look_up(names.words, self._ids)
        summed = graph.add("Add", words, self.look_up(names.positions, self._position_ids()))
        if names.types is not None and self._spec.type_count > 1:
            types = graph.input("token_type_ids", "int64", ("batch", "sequence"))
            summed = graph.add("Add", summed, self.look_up(names.types, types))
        elif names.types is not None:
            table = f"{names.types}.weight"
            only = graph.array(table, self.weights.full(table)[0])
            summed = graph.add("Add", summed, only)
        tokens = self._normed(names.norm, summed)
        self._penalty = self._penalties()
        return tokens

    def _penalties(self) -> str:
        """Add what is added to the scores of each row's tokens, (batch, 1, 1, sequence)."""
        graph = self.graph
        wide = graph.add("Unsqueeze", self._mask, graph.constant((1, 2)))
        padding = graph.add(
            "Sub", graph.constant(1.0), graph.add("Cast", wide, to=TYPES["float32"])
        )
        return graph.add("Mul", padding, graph.constant(_FAR))

    def _position_ids(self) -> str:
        """Add each token's position: 0, 1, ..., or counted from behind the padding token's id.

        Counting the ids keeps their shape, which ONNX Runtime must know to fuse what follows.
        """
        graph, pad = self.graph, self._spec.pad_id
        outside = graph.add("Equal", self._ids, graph.constant(-1 if pad is None else pad))
        real = graph.add("Cast", graph.add("Not", outside), to=TYPES["int64"])
        counted = graph.add("CumSum", real, graph.constant(1))
        if pad is None:
            return graph.add("Sub", counted, graph.constant(1))
        return graph.add("Add", graph.add("Mul", counted, real), graph.constant(pad))

    def attend(self, tokens: str, layer: Layer) -> str:
        """Add what every token draws from its row, (batch, sequence, hidden)."""
        return self.attend_first(tokens, tokens, layer)

    def first(self, tokens: str) -> str:
        """Add the first tokens, (batch, 1, hidden)."""
        graph = self.graph
        return graph.add("Slice", tokens, *(graph.constant((n,)) for n in (0, 1, 1)))

    def attend_first(self, first: str, tokens: str, layer: Layer) -> str:
        """Add what some tokens draw from all of their row, (batch, some, hidden)."""
        graph, spec = self.graph, self._spec
        queries = self._by_head(first, layer.query, (0, 2, 1, 3))
        keys = self._by_head(tokens, layer.key, (0, 2, 3, 1))
        values = self._by_head(tokens, layer.value, (0, 2, 1, 3))
        scale = graph.constant(1 / math.sqrt(spec.hidden // spec.heads))
        scores = graph.add("Mul", graph.add("MatMul", queries, keys), scale)
        shares = graph.add("Softmax", graph.add("Add", scores, self._penalty), axis=-1)
        mixed = graph.add("Transpose", graph.add("MatMul", shares, values), perm=(0, 2, 1, 3))
        return graph.add("Reshape", mixed, graph.constant((0, 0, spec.hidden)))

    def _by_head(self, tokens: str, name: str, order: tuple[int, ...]) -> str:
        spec, graph = self._spec, self.graph
        shape = graph.constant((0, 0, spec.heads, spec.hidden // spec.heads))
        apart = graph.add("Reshape", self._linear(tokens, name), shape)
        return graph.add("Transpose", apart, perm=order)

    def dense(self, tokens: str, name: str, activation: Activation) -> str:
        """Add the activation of a product."""
        return self.activated(self._linear(tokens, name), activation)

    def add_norm(self, residual: str, inner: str, dense: str, norm: str) -> str:
        """Add the norm of the residual and a product."""
        product = self._linear(inner, dense)
        return self._normed(norm, self.graph.add("Add", product, residual))

    def rows(self, first: str) -> str:
        """Add the first tokens as a matrix, (batch, hidden)."""
        return self.graph.add("Reshape", first, self.graph.constant((-1, self._spec.hidden)))

    def activated(self, values: str, activation: Activation) -> str:
        """Add an activation of values; GELU is x (1 + erf(x / sqrt 2)) / 2."""
        graph = self.graph
        if activation != "gelu":
            return super().activated(values, activation)
        error = graph.add("Erf", graph.add("Div", values, graph.constant(math.sqrt(2))))
        product = graph.add("Mul", values, graph.add("Add", error, graph.constant(1.0)))
        return graph.add("Mul", product, graph.constant(0.5))

    def _normed(self, name: str, values: str) -> str:
        scale, shift = self.array(f"{name}.weight"), self.array(f"{name}.bias")
        return self.graph.add(
            "LayerNormalization", values, scale, shift, epsilon=self._spec.epsilon
        )

    def _linear(self, tokens: str, name: str) -> str:
        multiplied = self._integer_product if self._int8 else self._float_product
        return self.graph.add(
            "Add", multiplied(tokens, f"{name}.weight"), self.array(f"{name}.bias")
        )

    def _float_product(self, tokens: str, name: str) -> str:
        weight = self.graph.array(name, self.weights.take(name).T)
        return self.graph.add("MatMul", tokens, self.graph.widened(weight, weight))

    def _integer_product(self, tokens: str, name: str) -> str:
        graph = self.graph
        if tokens not in self._levels:  # query, key and value multiply the same tokens
            self._levels[tokens] = graph.split("DynamicQuantizeLinear", tokens, parts=3)
        levels, scale, zero = self._levels[tokens]
        numbers, scales = quantised(self.weights.full(name), 2 ** (INT8_BITS - 1) - 1)
        weight = graph.array(f"{name}.int8", numbers.T)
        nothing = graph.array("nothing", np.zeros((), np.int8))
        product = graph.add("MatMulInteger", levels, weight, zero, nothing)
        both = graph.add("Mul", scale, graph.array(f"{name}.scales", scales))
        return graph.add("Mul", graph.add("Cast", product, to=TYPES["float32"]), both)
