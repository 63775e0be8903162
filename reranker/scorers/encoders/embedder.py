"""Texts -> token ids -> embeddings: computed, cached, or read from where they were stored."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from threading import Lock

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from twopass.reranker.contract.errors import InputError
from twopass.reranker.contract.inputs import check_unicode
from twopass.reranker.engines.engine import BatchRunner
from twopass.reranker.text.row_store import RowStore
from twopass.reranker.text.tokens import TokenRows

__all__ = [
    "Embedder",
    "EncodedTexts",
    "TextEncoder",
]


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


_TEXTS_A_SEGMENT = 16384


class Embedder:
    """Embeds texts; each distinct one once, as long as it is remembered.

    Safe to use from several threads.

    Args:
        encoder: texts -> token ids.
        runner: token ids -> embeddings.
        prefix: what is set before each text.
        remembered: how many texts' embeddings are kept in memory, the latest used.
        stored: embeddings of texts that were computed before.

    """

    def __init__(
        self,
        encoder: TextEncoder,
        runner: BatchRunner,
        prefix: str,
        *,
        remembered: int,
        stored: RowStore | None = None,
    ) -> None:
        self._encoder = encoder
        self._runner = runner
        self._prefix = prefix
        self._remembered = remembered
        self._stored = stored
        self._lock = Lock()
        self._cache: OrderedDict[str, NDArray[np.float32]] = OrderedDict()

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return (n, dimensions) float32: the embedding of each text, in order.

        Raises:
            InputError: when a text is no valid Unicode.

        """
        distinct = list(dict.fromkeys(texts))
        known = self._known(distinct)
        new = [text for text in distinct if text not in known]
        if new:
            known |= zip(new, self.compute(new), strict=True)
            self._remember(known)
        return np.stack([known[text] for text in texts])

    def compute(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return (n, dimensions) float32: embeddings that are computed in any case."""
        encoded = self._encoder.encode([self._prefix + text for text in texts])
        return self._runner.run(encoded.rows)

    def store(
        self, rows: RowStore, texts: Iterable[str], done: Callable[[int], None] = lambda _: None
    ) -> None:
        """Compute and store the embeddings of the texts that have none yet."""
        source, seen = iter(texts), 0
        while part := list(islice(source, _TEXTS_A_SEGMENT)):
            new = rows.missing(part)
            if new:
                rows.add(new, packed(self.compute(new), rows.about["dtype"]))
            seen += len(part)
            done(seen)

    def _known(self, texts: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        with self._lock:
            known = {text: self._cache[text] for text in texts if text in self._cache}
            for text in known:
                self._cache.move_to_end(text)
        if self._stored is not None:
            left = [text for text in texts if text not in known]
            rows = zip(left, self._stored.find(left), strict=True)
            known |= {text: unpacked(row) for text, row in rows if row is not None}
        return known

    def _remember(self, known: dict[str, NDArray[np.float32]]) -> None:
        with self._lock:
            self._cache |= known
            while len(self._cache) > self._remembered:
                self._cache.popitem(last=False)


def packed(embeddings: NDArray[np.float32], dtype: str) -> list[NDArray[np.generic]]:
    """Return the rows as they are stored: float16, or int8 behind their own scale.

    An int8 row begins with the four bytes of a float32: what its numbers are to be multiplied by.
    """
    if dtype == "float16":
        return list(embeddings.astype(np.float16))
    scales = np.maximum(np.abs(embeddings).max(axis=1, keepdims=True), 1e-12) / 127
    numbers = np.rint(embeddings / scales).astype(np.int8)
    heads = scales.astype("<f4").view(np.int8)
    return list(np.concatenate([heads, numbers], axis=1))


def unpacked(row: NDArray[np.generic]) -> NDArray[np.float32]:
    """Return a stored row as float32."""
    if row.dtype != np.int8:
        return row.astype(np.float32)
    scale = np.float32(np.ascontiguousarray(row[:4]).view("<f4")[0])
    numbers: NDArray[np.float32] = row[4:].astype(np.float32) * scale
    return numbers
