"""Token ids: of one text with their positions in it, and of many rows as one flat array."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from tokenizers import Encoding

__all__ = [
    "TokenRows",
    "TokenizedText",
]


@dataclass(frozen=True, slots=True, eq=False)
class TokenizedText:
    """A text's tokens, without special ones.

    Attributes:
        ids: (t,) int32: the token ids.
        starts: (t,) int64: the character of the text at which each token begins.
        ends: (t,) int64: the character behind each token's last.

    """

    ids: NDArray[np.int32]
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]

    @classmethod
    def of(cls, encoding: Encoding) -> TokenizedText:
        """Take over what a tokeniser gives."""
        spans = np.array(encoding.offsets, dtype=np.int64).reshape(-1, 2)
        return cls(np.array(encoding.ids, dtype=np.int32), spans[:, 0], spans[:, 1])

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True, slots=True, eq=False)
class TokenRows:
    """Rows of token ids, ragged: row ``i`` is ``ids[offsets[i]:offsets[i + 1]]``.

    Attributes:
        ids: (t,) int32: the rows' token ids, one row after the other.
        types: (t,) int8: the type of each token, as the model's tokeniser numbers them.
        offsets: (n + 1,) int64: where each row begins; from 0 to t, never falling.

    Raises:
        ValueError: when the arrays do not fit together.

    """

    ids: NDArray[np.int32]
    types: NDArray[np.int8]
    offsets: NDArray[np.int64]

    def __post_init__(self) -> None:
        if self.ids.shape != self.types.shape or self.ids.ndim != 1:
            raise ValueError(
                f"expected ids and types of one length, found {self.ids.shape}, {self.types.shape}"
            )
        if self.offsets.ndim != 1 or len(self.offsets) == 0:
            raise ValueError(f"expected offsets of shape (n + 1,), found {self.offsets.shape}")
        if self.offsets[0] != 0 or self.offsets[-1] != len(self.ids):
            raise ValueError(
                f"expected offsets from 0 to {len(self.ids)}, "
                f"found {self.offsets[0]} to {self.offsets[-1]}"
            )
        if bool((np.diff(self.offsets) < 0).any()):
            raise ValueError("expected offsets that never fall")

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> NDArray[np.int64]:
        """(n,) int64: how many tokens each row has."""
        return np.diff(self.offsets)

    def take(self, rows: NDArray[np.int64]) -> TokenRows:
        """Return the given rows, in the given order."""
        lengths = self.lengths[rows]
        offsets = np.concatenate(([0], np.cumsum(lengths)))
        source = np.arange(offsets[-1]) + np.repeat(self.offsets[rows] - offsets[:-1], lengths)
        return TokenRows(self.ids[source], self.types[source], offsets)

    def padded(
        self, pad_id: int, *, left: bool = False, width: int = 0
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Return ids, types and attention mask, each (n, width) int64, padded.

        Args:
            pad_id: the padding's id.
            left: pad before a row's tokens.
            width: where longer than the longest row.

        """
        lengths = self.lengths
        width = max(width, int(lengths.max(initial=0)))
        columns = np.arange(width)
        real = columns >= width - lengths[:, None] if left else columns < lengths[:, None]
        ids = np.full(real.shape, pad_id, dtype=np.int64)
        types = np.zeros(real.shape, dtype=np.int64)
        ids[real], types[real] = self.ids, self.types
        return ids, types, real.astype(np.int64)
