"""What tokens draw from their rows, where rows lie one behind the other: three ways to compute it.

``Rectangle`` takes rows that were padded to one length before, ``Padded`` pads them for attention
only, and ``Varlen`` hands the rows' borders to a kernel that keeps to them. All give the
same to rounding.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from twopass.reranker.engines.torch.cpu_parts import Part
from twopass.reranker.engines.torch.engine import to_device
from twopass.reranker.text.tokens import TokenRows

if TYPE_CHECKING:
    import torch
    from torch import Tensor

__all__ = ["Attention", "Padded", "PaddedPositions", "Rectangle", "Varlen"]


class Attention(Protocol):
    """Attention within each row of one batch.

    Attributes:
        starts: (n,) int64: where each row begins among the batch's tokens.

    """

    @property
    def starts(self) -> Tensor: ...  # noqa: D102

    def of_all(self, product: Tensor) -> Tensor:
        """Return what every token draws from its row, (t, hidden).

        Args:
            product: (t, 3, heads, width): each token's query, key and value.

        """
        ...

    def of_first(self, query_rows: Tensor, hidden: Tensor, scale: float) -> Tensor:
        """Return what each row's first token draws from its row by each head, (n, heads, hidden).

        Args:
            query_rows: (n, heads, hidden): each head's query.
            hidden: (t, hidden): keys and values at once.
            scale: of the scores.

        """
        ...


class Rectangle:
    """Rows of one length where they lie, for a CPU; tokens behind them draw nothing.

    Args:
        part: where the rows' tokens are.

    """

    def __init__(self, part: Part) -> None:
        import torch

        self._rows, self._longest = part.own.shape
        self._own = None if part.own.all() else torch.from_numpy(part.own)[:, None, None]
        starts = np.zeros(part.firsts, dtype=np.int64)
        starts[: self._rows] = np.arange(self._rows) * self._longest
        self.starts = torch.from_numpy(starts)

    def of_all(self, product: Tensor) -> Tensor:
        """Return what every token draws from its row; see :class:`Attention`."""
        from torch.nn.functional import scaled_dot_product_attention

        query, key, value = self._in_rows(product).permute(2, 0, 3, 1, 4)
        context = scaled_dot_product_attention(query, key, value, attn_mask=self._own)
        return _with_more(context.transpose(1, 2).flatten(2).flatten(0, 1), len(product))

    def of_first(self, query_rows: Tensor, hidden: Tensor, scale: float) -> Tensor:
        """Return what each row's first token draws from its row; see :class:`Attention`."""
        from torch.nn.functional import scaled_dot_product_attention

        tokens, query = self._in_rows(hidden)[:, None], query_rows[: self._rows, None]
        drawn = scaled_dot_product_attention(
            query, tokens, tokens, attn_mask=self._own, scale=scale
        )
        return _with_more(drawn[:, 0], len(query_rows))

    def _in_rows(self, values: Tensor) -> Tensor:
        """Return (rows, longest, ...) of values by token."""
        within = values[: self._rows * self._longest]
        return within.view(self._rows, self._longest, *values.shape[1:])


@dataclass(frozen=True, slots=True)
class PaddedPositions:
    """Where a batch's rows are, as tensors on its device; only sizes decide about shapes.

    Attributes:
        offsets: (n + 1,) int32: where each row begins and the last one ends.
        index: (n, longest) int64: each row's tokens; behind the row's end its first.
        real: (n, longest) bool: what is not behind the end.
        back: (t,) int64: where each token is in the index.

    """

    offsets: Tensor
    index: Tensor
    real: Tensor
    back: Tensor

    @classmethod
    def of(cls, batch: TokenRows, device: torch.device, longest: int) -> PaddedPositions:
        """Describe a batch, whose longest row has at most ``longest`` tokens."""
        lengths, starts = batch.lengths[:, None], batch.offsets[:-1, None]
        columns = np.arange(longest)
        real = columns < lengths
        index = np.where(real, starts + columns, starts)
        parts = (batch.offsets.astype(np.int32), index, real, np.flatnonzero(real))
        return cls(*(to_device(part, device) for part in parts))

    @property
    def tensors(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """All of them, in order."""
        return self.offsets, self.index, self.real, self.back


class Padded:
    """Pads rows to the longest one, for attention only: for any device and precision.

    Args:
        places: of the batch.

    """

    def __init__(self, positions: PaddedPositions) -> None:
        self._positions = positions
        self.starts = positions.index[:, 0]

    def of_all(self, product: Tensor) -> Tensor:
        """Return what every token draws from its row; see :class:`Attention`."""
        from torch.nn.functional import scaled_dot_product_attention

        query, key, value = product[self._positions.index].permute(2, 0, 3, 1, 4)
        mask = self._positions.real[:, None, None]
        context = scaled_dot_product_attention(query, key, value, attn_mask=mask)
        drawn: Tensor = context.transpose(1, 2).flatten(2).flatten(0, 1)[self._positions.back]
        return drawn

    def of_first(self, query_rows: Tensor, hidden: Tensor, scale: float) -> Tensor:
        """Return what each row's first token draws from its row; see :class:`Attention`."""
        from torch.nn.functional import scaled_dot_product_attention

        tokens, mask = hidden[self._positions.index][:, None], self._positions.real[:, None, None]
        drawn = scaled_dot_product_attention(
            query_rows[:, None], tokens, tokens, attn_mask=mask, scale=scale
        )
        return drawn[:, 0]


class Varlen(Padded):
    """Flash attention within the rows' borders: for NVIDIA's GPUs since Ampere, in 16 bits.

    ``torch.nn.attention.varlen`` would choose cuDNN's kernel where it can, which is built again for
    every new shape of a batch; this is the operator below it, which takes the other.
    """

    def of_all(self, product: Tensor) -> Tensor:
        """Return what every token draws from its row; see :class:`Attention`."""
        import torch

        offsets, longest = self._positions.offsets, self._positions.index.shape[1]
        context: Any = torch.ops.aten._flash_attention_forward(
            *product.unbind(1), offsets, offsets, longest, longest, 0.0, False, False
        )[0]
        drawn: Tensor = context.flatten(1)
        return drawn

    @staticmethod
    def works(device: torch.device, dtype: torch.dtype, heads: int, width: int) -> bool:
        """Say whether the device has the kernel for such heads, by trying it beside ``Padded``."""
        import torch

        if device.type != "cuda" or dtype not in (torch.float16, torch.bfloat16):
            return False
        batch = TokenRows(
            np.zeros(6, dtype=np.int32), np.zeros(6, dtype=np.int8), np.array([0, 4, 6])
        )
        positions = PaddedPositions.of(batch, device, 4)
        product = torch.linspace(-1, 1, 18 * heads * width, device=device, dtype=dtype)
        product = product.reshape(6, 3, heads, width)
        try:
            found = Varlen(positions).of_all(product)
        except (RuntimeError, AttributeError, TypeError):  # as torch says what it has not
            return False
        return torch.allclose(found, Padded(positions).of_all(product), atol=0.02)


def _with_more(values: Tensor, number: int) -> Tensor:
    """Return ``number`` values, with zeros behind those given."""
    if len(values) == number:
        return values
    more = values.new_zeros(number, *values.shape[1:])
    more[: len(values)] = values
    return more
