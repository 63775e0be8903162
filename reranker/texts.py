"""Whole texts as token ids, with the place of each token in the text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from tokenizers import Encoding

__all__ = ["TokenizedText"]


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
        places = np.array(encoding.offsets, dtype=np.int64).reshape(-1, 2)
        return cls(np.array(encoding.ids, dtype=np.int32), places[:, 0], places[:, 1])

    def __len__(self) -> int:
        return len(self.ids)
