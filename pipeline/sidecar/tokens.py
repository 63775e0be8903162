"""Counting and cutting by the model's own tokens, where the scorer has a model at hand."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.sidecar.wrapped import find
from reranker.base import PairScorer

__all__ = ["Tokens"]


class Tokens:
    """The tokens of a scorer's model; of one that has none, as one far away, nothing is known."""

    def __init__(self, scorer: PairScorer) -> None:
        self._encoder = find(scorer, "encoder")

    @property
    def longest(self) -> int | None:
        """How many tokens a pair has at most; None where that is not known."""
        return None if self._encoder is None else int(self._encoder.max_length)

    def count(self, pairs: Sequence[tuple[str, str]]) -> int:
        """Return how many tokens the model reads of these pairs; 0 where that is not known."""
        if self._encoder is None:
            return 0
        encoded = self._encoder.encode(pairs)
        return int(encoded.rows.lengths[encoded.row_of].sum())

    def clipped(self, texts: Sequence[str], most: int | None) -> list[str]:
        """Cut each text to so many tokens; None, and no tokens known, is not at all."""
        if most is None or self._encoder is None:
            return list(texts)
        distinct = list(dict.fromkeys(texts))
        tokenized = self._encoder.tokenized(distinct)
        cut = {
            text: text[: int(tokens.ends[most - 1])] if len(tokens) > most else text
            for text, tokens in zip(distinct, tokenized, strict=True)
        }
        return [cut[text] for text in texts]
