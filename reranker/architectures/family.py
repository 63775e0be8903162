"""What engines know of a model: its weights' names and sizes, and the steps of its computation.

The steps are written once, over :class:`Operations`. An engine implements these: on tensors, or by
adding nodes to a graph. Names are those of the weights' file, without ``.weight`` and ``.bias``;
in torch, modules have the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeVar, get_args

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Activation",
    "Architecture",
    "Embeddings",
    "Family",
    "Head",
    "Layer",
    "Operations",
    "is_activation",
    "label_count",
    "position_ids",
]

Value = TypeVar("Value")
Activation = Literal["gelu", "relu", "tanh"]  # gelu by the error function


@dataclass(frozen=True, slots=True)
class Embeddings:
    """Names of the tables that are summed up for a token, and of the norm of the sum.

    ``types`` is None where the model has no table for token types.
    """

    words: str
    positions: str
    types: str | None
    norm: str


@dataclass(frozen=True, slots=True)
class Layer:
    """Names of a layer's products and norms, in the order of their use."""

    query: str
    key: str
    value: str
    attention_output: str
    attention_norm: str
    inner: str
    output: str
    output_norm: str


@dataclass(frozen=True, slots=True)
class Head:
    """Names of the head's two products, and what is applied between them."""

    dense: str
    activation: Activation
    output: str


class Operations(Protocol[Value]):
    """What an engine computes; a value is a tensor, or a name in a graph.

    Arguments that are names are called as in :class:`Layer`. Values of all tokens have the shape
    (..., hidden), as the engine lays out its batches.
    """

    def embed(self, names: Embeddings) -> Value:
        """Return the norm of the sum of each token's embeddings."""
        ...

    def attend(self, tokens: Value, layer: Layer) -> Value:
        """Return what each token draws from all tokens of its row."""
        ...

    def first(self, tokens: Value) -> Value:
        """Return the first token of each row."""
        ...

    def attend_first(self, first: Value, tokens: Value, layer: Layer) -> Value:
        """Return what each row's first token draws from all tokens of its row."""
        ...

    def dense(self, tokens: Value, name: str, activation: Activation) -> Value:
        """Return the activation of a product."""
        ...

    def add_norm(self, residual: Value, inner: Value, dense: str, norm: str) -> Value:
        """Return the norm of the residual and a product; the residual may be overwritten."""
        ...

    def rows(self, first: Value) -> Value:
        """Return each row's token as a matrix, (rows, hidden)."""
        ...

    def project(self, rows: Value, name: str, activation: Activation | None = None) -> Value:
        """Return a product with a matrix of one token a row, never in integers."""
        ...


@dataclass(frozen=True, slots=True)
class Architecture:
    """One model's names and sizes; its layers have their norms behind the residual, as BERT's.

    A family that computes something else overrides :meth:`run` and :meth:`shapes`.

    Attributes:
        embeddings: names of the tables.
        layers: names of each layer's weights.
        head: names of the head's.
        activation: between the last two products of a layer.
        heads: of attention.
        hidden: width of a token.
        inner: width between the last two products of a layer.
        labels: logits a row.
        vocabulary_size: how many tokens have an embedding.
        position_count: how many positions have one.
        type_count: how many token types have one; 0 without a table.
        epsilon: of the norms.
        pad_id: where positions are counted from behind the padding token's id, that id.

    """

    embeddings: Embeddings
    layers: tuple[Layer, ...]
    head: Head
    activation: Activation
    heads: int
    hidden: int
    inner: int
    labels: int
    vocabulary_size: int
    position_count: int
    type_count: int
    epsilon: float
    pad_id: int | None = None

    def run(self, operations: Operations[Value]) -> Value:
        """Return the logits, (rows, labels): the last layer is computed for first tokens only."""
        tokens = operations.embed(self.embeddings)
        for layer in self.layers[:-1]:
            context = operations.attend(tokens, layer)
            tokens = self._finish(operations, layer, tokens, context)
        last, first = self.layers[-1], operations.first(tokens)
        context = operations.attend_first(first, tokens, last)
        rows = operations.rows(self._finish(operations, last, first, context))
        dense = operations.project(rows, self.head.dense, self.head.activation)
        return operations.project(dense, self.head.output)

    def _finish(
        self, operations: Operations[Value], layer: Layer, tokens: Value, context: Value
    ) -> Value:
        """Return a layer's output for tokens, given what they drew by attention."""
        attended = operations.add_norm(
            tokens, context, layer.attention_output, layer.attention_norm
        )
        inner = operations.dense(attended, layer.inner, self.activation)
        return operations.add_norm(attended, inner, layer.output, layer.output_norm)

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shape of every weight by its name."""
        wide, names = self.hidden, self.embeddings
        tables = {names.words: self.vocabulary_size, names.positions: self.position_count}
        if names.types is not None:
            tables[names.types] = self.type_count
        shapes: dict[str, tuple[int, ...]] = {
            f"{name}.weight": (rows, wide) for name, rows in tables.items()
        }
        shapes |= _vectors(names.norm, wide)
        for layer in self.layers:
            for norm in (layer.attention_norm, layer.output_norm):
                shapes |= _vectors(norm, wide)
            for name in (layer.query, layer.key, layer.value, layer.attention_output):
                shapes |= _linear(name, wide, wide)
            shapes |= _linear(layer.inner, self.inner, wide)
            shapes |= _linear(layer.output, wide, self.inner)
        shapes |= _linear(self.head.dense, wide, wide)
        return shapes | _linear(self.head.output, self.labels, wide)

    @property
    def max_tokens(self) -> int:
        """How many tokens a row may have."""
        return self.position_count - (0 if self.pad_id is None else self.pad_id + 1)

    def frames(
        self,
        ids: NDArray[np.int32],
        offsets: NDArray[np.int64],
        types: NDArray[np.int8] | None,
    ) -> NDArray[np.int64]:
        """Return (t,) int64: each token's type and position in one number, to look both up at once.

        It is ``type * position_count + position``.

        Args:
            ids: (t,) int32: the rows' token ids, one row after the other.
            offsets: (n + 1,) int64: where each row begins.
            types: (t,) int8: each token's type; None where the tokenizer gives none.

        """
        positions = position_ids(ids, offsets, self.pad_id)
        if types is None or self.embeddings.types is None:
            return positions
        return positions + types.astype(np.int64) * self.position_count


@dataclass(frozen=True, slots=True)
class Family:
    """How models of one ``model_type`` are read.

    Attributes:
        model_type: as ``config.json`` has it.
        classifier: name of transformers' class of a sequence classifier.
        read: a ``config.json`` -> the architecture; None where it has something that
            :class:`Architecture` does not describe, so that torch runs the model as it is.
        tokenizers: whether the family's tokenizers give token types, by the class's name.
        first_token_only: a context in which a torch model computes its last layer for first tokens
            only, with the same gradients; None where there is none.

    """

    model_type: str
    classifier: str
    read: Callable[[Mapping[str, Any]], Architecture | None]
    tokenizers: Mapping[str, bool] = field(default_factory=dict)
    first_token_only: Callable[[Any], AbstractContextManager[None]] | None = None


def is_activation(name: Any) -> bool:
    """Say whether all engines have an activation of that name."""
    return name in get_args(Activation)


def label_count(config: Mapping[str, Any]) -> int:
    """Return how many labels a ``config.json`` has."""
    named = config.get("id2label")
    return len(named) if named else int(config.get("num_labels", 2))


def position_ids(
    ids: NDArray[np.int32], offsets: NDArray[np.int64], pad_id: int | None = None
) -> NDArray[np.int64]:
    """Return (t,) int64: each token's position in its row.

    Args:
        ids: (t,) int32: the rows' token ids, one row after the other.
        offsets: (n + 1,) int64: where each row begins.
        pad_id: the padding token's id where positions are counted as RoBERTa does: from behind that
            id, without padding. A document may have the padding token in its text; it gets the
            padding's own position.

    """
    lengths = np.diff(offsets)
    if pad_id is None:
        return np.arange(len(ids)) - np.repeat(offsets[:-1], lengths)
    real = ids != pad_id
    counted = np.cumsum(real)
    before = np.concatenate(([0], counted))[offsets[:-1]]
    found: NDArray[np.int64] = (counted - np.repeat(before, lengths)) * real + pad_id
    return found


def _linear(name: str, rows: int, columns: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (rows, columns), f"{name}.bias": (rows,)}


def _vectors(name: str, width: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}
