"""One layer of a model of BERT's kind, over rows that lie one behind the other without padding."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reranker.engines.attention import Attention

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["PackedLayer"]


class PackedLayer:
    """A layer of transformers' BERT, ELECTRA or RoBERTa.

    Args:
        layer: the layer, in evaluation mode; its weights are shared but for the projections.
        heads: its attention heads.

    """

    def __init__(self, layer: Any, heads: int) -> None:
        import torch

        self._layer = layer
        self._heads = heads
        own = layer.attention.self
        self._query, self._key, self._value = own.query, own.key, own.value
        parts = (own.query, own.key, own.value)
        with torch.no_grad():
            self._weight = torch.cat([part.weight for part in parts])
            self._bias = torch.cat([part.bias for part in parts])

    def all_tokens(self, hidden: Tensor, attention: Attention) -> Tensor:
        """Return the layer's output for all tokens, (t, hidden); the input is overwritten."""
        from torch.nn.functional import linear

        product = linear(hidden, self._weight, self._bias).view(len(hidden), 3, self._heads, -1)
        return self._after(hidden, attention.of_all(product))

    def first_tokens(self, hidden: Tensor, attention: Attention) -> Tensor:
        """Return the layer's output for the first token of each row, (n, hidden).

        With one query a row and head, keys and values of all tokens need not be computed: a head's
        score of a token x is q (K x) = (q K) x, and what it draws is the sum of p V x = V (sum of
        p x), p summing to one. A key's bias adds the same to all of a row's scores, so to none.
        """
        import torch

        first, size = hidden[attention.starts], hidden.shape[1]
        width = size // self._heads
        query = self._query(first).view(-1, self._heads, width).transpose(0, 1)
        key = self._key.weight.view(self._heads, width, size)
        asked = torch.bmm(query, key).transpose(0, 1)  # (n, heads, hidden)
        mixed = attention.of_first(asked, hidden, width**-0.5).transpose(0, 1)  # (heads, n, hidden)
        value = self._value.weight.view(self._heads, width, size).transpose(1, 2)
        context = torch.bmm(mixed, value).transpose(0, 1).reshape(-1, size)
        return self._after(first, context + self._value.bias)

    def _after(self, hidden: Tensor, context: Tensor) -> Tensor:
        """Return the layer's output for tokens, given what they drew by attention."""
        attention, output = self._layer.attention.output, self._layer.output
        attended = _added(attention, hidden, context)
        return _added(output, attended, self._layer.intermediate(attended))


def _added(output: Any, residual: Tensor, inner: Tensor) -> Tensor:
    """Return the norm of the residual and the dense product; the residual is overwritten."""
    residual.addmm_(inner, output.dense.weight.t()).add_(output.dense.bias)
    normalised: Tensor = output.LayerNorm(residual)
    return normalised
