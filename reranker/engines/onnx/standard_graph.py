"""Classifiers of BERT's kind as ONNX graphs that any runtime reads: standard operators alone.

The graph takes what transformers' tokenisers give, ``input_ids``, ``attention_mask`` and, where the
model has segments, ``token_type_ids``, each (batch, sequence) int64, and gives ``logits``,
(batch, labels) float32. ONNX Runtime fuses norms, GELU and the integers' products as it loads it.
Weights lie in the file as the model's folder has them: those in half precision are widened once,
when a session is made, and products are fp32.
"""

from __future__ import annotations

import math

import numpy as np

from twopass.reranker.architectures.bert import Classifier
from twopass.reranker.contract.errors import ModelError
from twopass.reranker.engines.onnx.graph import TYPES, Graph
from twopass.reranker.engines.onnx.products import quantised
from twopass.reranker.files.weights import Weights

__all__ = ["INT8_BITS", "write_standard"]

INT8_BITS = 7  # the file may be run where eight by eight bits overflow sums of sixteen (AVX2)
_OPSETS = {"": 17}
_IR_VERSION = 8
_LARGEST = 2**31 - 2**20  # bytes of a protocol buffer, and some for the graph itself
_FAR = -1e9  # added to what is masked: its share becomes 0


def write_standard(spec: Classifier, weights: Weights, *, int8: bool = False) -> bytes:
    """Return an ONNX model with its weights.

    Args:
        spec: the model's sizes and names.
        weights: its weights, checked to be there.
        int8: multiply in integers of eight bits: weights in rows of one scale each, tokens by the
            range that a batch has. Embeddings, attention and the head stay as they are.

    Raises:
        ModelError: when a weight is no number, or there is more than one file can hold.

    """
    graph = _Writer(spec, weights, int8=int8).written()
    size = sum(array.nbytes for array in graph.arrays.values())
    if size > _LARGEST:
        raise ModelError(
            f"expected weights of at most {_LARGEST / 1e9:.1f} GB for one ONNX file, "
            f"found {size / 1e9:.1f}; store the model in half precision"
        )
    return graph.written(whole=True, opsets=_OPSETS, ir_version=_IR_VERSION)


class _Writer:
    """Writes one graph; methods return the names of the values that they add."""

    def __init__(self, spec: Classifier, weights: Weights, *, int8: bool) -> None:
        self._spec, self._weights, self._int8 = spec, weights, int8
        self._graph = Graph()
        self._levels: dict[str, list[str]] = {}

    def written(self) -> Graph:
        spec, graph = self._spec, self._graph
        ids = graph.input("input_ids", "int64", ("batch", "sequence"))
        mask = graph.input("attention_mask", "int64", ("batch", "sequence"))
        tokens, hidden = self._embedded(ids), self._hidden(mask)
        for block in spec.blocks[:-1]:
            tokens = self._layer(block, tokens, tokens, hidden)
        first = graph.add("Slice", tokens, *(graph.constant((n,)) for n in (0, 1, 1)))
        first = self._layer(spec.blocks[-1], first, tokens, hidden)
        first = graph.add("Reshape", first, graph.constant((-1, spec.hidden)))
        dense = self._gemm(first, spec.dense)
        squashed = self._gelu(dense) if spec.squash == "Gelu" else graph.add(spec.squash, dense)
        graph.output(self._gemm(squashed, spec.output), ("batch", spec.labels))
        return graph

    def _hidden(self, mask: str) -> str:
        """Add what is added to the scores of each row's tokens, (batch, 1, 1, sequence)."""
        graph = self._graph
        wide = graph.add("Unsqueeze", mask, graph.constant((1, 2)))
        padding = graph.add(
            "Sub", graph.constant(1.0), graph.add("Cast", wide, to=TYPES["float32"])
        )
        return graph.add("Mul", padding, graph.constant(_FAR))

    def _embedded(self, ids: str) -> str:
        """Add the normed sum of each token's embeddings, (batch, sequence, hidden)."""
        graph, prefix = self._graph, f"{self._spec.encoder}embeddings."
        words = self._looked_up(f"{prefix}word_embeddings.weight", ids)
        places = self._looked_up(f"{prefix}position_embeddings.weight", self._places(ids))
        summed = graph.add("Add", words, places)
        kinds = f"{prefix}token_type_embeddings.weight"
        if self._spec.segments > 1:
            types = graph.input("token_type_ids", "int64", ("batch", "sequence"))
            summed = graph.add("Add", summed, self._looked_up(kinds, types))
        else:
            only = graph.array(kinds, self._weights.full(kinds)[0])
            summed = graph.add("Add", summed, only)
        return self._normed(f"{prefix}LayerNorm", summed)

    def _places(self, ids: str) -> str:
        """Add each token's place: 0, 1, ..., or as RoBERTa counts, from behind the padding's id.

        Counting the ids keeps their shape, which ONNX Runtime must know to fuse what follows.
        """
        graph, pad = self._graph, self._spec.pad_id
        outside = graph.add("Equal", ids, graph.constant(-1 if pad is None else pad))
        real = graph.add("Cast", graph.add("Not", outside), to=TYPES["int64"])
        counted = graph.add("CumSum", real, graph.constant(1))
        if pad is None:
            return graph.add("Sub", counted, graph.constant(1))
        return graph.add("Add", graph.add("Mul", counted, real), graph.constant(pad))

    def _looked_up(self, name: str, rows: str) -> str:
        table = self._graph.array(name, self._weights.take(name))
        return self._graph.widened(self._graph.add("Gather", table, rows), table)

    def _layer(self, block: str, asking: str, tokens: str, hidden: str) -> str:
        """Add a layer's output for the tokens that ask, given all tokens of their rows."""
        drawn = self._attended(f"{block}attention.self.", asking, tokens, hidden)
        attended = self._added(f"{block}attention.output", asking, drawn)
        bent = self._gelu(self._linear(attended, f"{block}intermediate.dense"))
        return self._added(f"{block}output", attended, bent)

    def _attended(self, prefix: str, asking: str, tokens: str, hidden: str) -> str:
        graph, spec = self._graph, self._spec
        asked = self._by_head(asking, f"{prefix}query", (0, 2, 1, 3))
        keys = self._by_head(tokens, f"{prefix}key", (0, 2, 3, 1))
        values = self._by_head(tokens, f"{prefix}value", (0, 2, 1, 3))
        scale = graph.constant(1 / math.sqrt(spec.hidden // spec.heads))
        scores = graph.add("Mul", graph.add("MatMul", asked, keys), scale)
        shares = graph.add("Softmax", graph.add("Add", scores, hidden), axis=-1)
        mixed = graph.add("Transpose", graph.add("MatMul", shares, values), perm=(0, 2, 1, 3))
        return graph.add("Reshape", mixed, graph.constant((0, 0, spec.hidden)))

    def _by_head(self, tokens: str, name: str, order: tuple[int, ...]) -> str:
        spec, graph = self._spec, self._graph
        shape = graph.constant((0, 0, spec.heads, spec.hidden // spec.heads))
        apart = graph.add("Reshape", self._linear(tokens, name), shape)
        return graph.add("Transpose", apart, perm=order)

    def _added(self, name: str, residual: str, inner: str) -> str:
        product = self._linear(inner, f"{name}.dense")
        return self._normed(f"{name}.LayerNorm", self._graph.add("Add", product, residual))

    def _normed(self, name: str, values: str) -> str:
        scale, shift = self._array(f"{name}.weight"), self._array(f"{name}.bias")
        return self._graph.add(
            "LayerNormalization", values, scale, shift, epsilon=self._spec.epsilon
        )

    def _gelu(self, values: str) -> str:
        """Add x (1 + erf(x / sqrt 2)) / 2."""
        graph = self._graph
        bent = graph.add("Erf", graph.add("Div", values, graph.constant(math.sqrt(2))))
        product = graph.add("Mul", values, graph.add("Add", bent, graph.constant(1.0)))
        return graph.add("Mul", product, graph.constant(0.5))

    def _linear(self, tokens: str, name: str) -> str:
        multiplied = self._whole_product if not self._int8 else self._integer_product
        return self._graph.add(
            "Add", multiplied(tokens, f"{name}.weight"), self._array(f"{name}.bias")
        )

    def _whole_product(self, tokens: str, name: str) -> str:
        weight = self._graph.array(name, self._weights.take(name).T)
        return self._graph.add("MatMul", tokens, self._graph.widened(weight, weight))

    def _integer_product(self, tokens: str, name: str) -> str:
        graph = self._graph
        if tokens not in self._levels:  # query, key and value multiply the same tokens
            self._levels[tokens] = graph.split("DynamicQuantizeLinear", tokens, parts=3)
        levels, scale, zero = self._levels[tokens]
        numbers, scales = quantised(self._weights.full(name), 2 ** (INT8_BITS - 1) - 1)
        weight = graph.array(f"{name}.int8", numbers.T)
        nothing = graph.array("nothing", np.zeros((), np.int8))
        product = graph.add("MatMulInteger", levels, weight, zero, nothing)
        both = graph.add("Mul", scale, graph.array(f"{name}.scales", scales))
        return graph.add("Mul", graph.add("Cast", product, to=TYPES["float32"]), both)

    def _gemm(self, rows: str, name: str) -> str:
        """Add a product with its bias, of (batch, hidden), in fp32: these are small."""
        weight, bias = self._array(f"{name}.weight"), self._array(f"{name}.bias")
        return self._graph.add("Gemm", rows, weight, bias, transB=1)

    def _array(self, name: str) -> str:
        return self._graph.array(name, self._weights.full(name))
