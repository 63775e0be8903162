"""Single texts -> token ids."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from reranker.base import InputError
from reranker.inputs import check_unicode
from reranker.tokens import TokenRows

__all__ = ["EncodedTexts", "TextEncoder"]


@dataclass(frozen=True, slots=True, eq=False)
class EncodedTexts:
    """Texts as a model reads them.

    Attributes:
        rows: (n,) rows of token ids, one a text.
        truncated: (n,) bool: whether the text was cut to fit.

    """

    rows: TokenRows
    truncated: NDArray[np.bool_]


class TextEncoder:
    """Turns texts into rows of token ids, exactly as the model's tokeniser does.

    Args:
        tokenizer: the model's; it is copied.
        max_length: tokens a row at most, special ones included.

    """

    def __init__(self, tokenizer: Tokenizer, max_length: int) -> None:
        self._tokenizer = Tokenizer.from_str(tokenizer.to_str())
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(max_length)
        self.max_length = max_length

    def encode(self, texts: Sequence[str]) -> EncodedTexts:
        """Return the rows of the texts, in order.

        Raises:
            InputError: when a text is no valid Unicode.

        """
        try:
            encodings = self._tokenizer.encode_batch_fast(list(texts))
        except TypeError as error:
            check_unicode([("", text) for text in texts])
            raise InputError(f"expected texts that the tokenizer takes: {error}") from error
        flat = [np.array(e.ids, dtype=np.int32) for e in encodings]
        types = [np.array(e.type_ids, dtype=np.int8) for e in encodings]
        rows = TokenRows(
            np.concatenate([np.zeros(0, np.int32), *flat]),
            np.concatenate([np.zeros(0, np.int8), *types]),
            np.cumsum([0, *map(len, flat)]),
        )
        return EncodedTexts(rows, np.array([bool(e.overflowing) for e in encodings], dtype=bool))
