"""Texts -> embeddings: computed, remembered, or read from where they were stored."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from reranker.batches import BatchRunner
from reranker.bi_encoder.encoding import TextEncoder
from reranker.text_rows import TextRows

__all__ = ["Embedder"]

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
        stored: TextRows | None = None,
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
        self, rows: TextRows, texts: Iterable[str], done: Callable[[int], None] = lambda _: None
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
