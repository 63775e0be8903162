"""How often phrases occur in texts, many texts at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from retriever.analysis import Analyzer
from retriever.phrases import Phrase

__all__ = ["PhraseCounter", "phrase_counter"]

PhraseCounter: TypeAlias = Callable[[Sequence[str]], NDArray[np.int64]]
"""(n,) texts -> (n, p) how often each of p phrases occurs in each."""


def phrase_counter(analyzer: Analyzer, phrases: Sequence[Phrase]) -> PhraseCounter:
    """Return what counts these phrases: by compiled analysis where the analyser has one."""
    from retriever.analysis.bulk import WordEncoder

    encoder = analyzer.encoder()
    if not isinstance(encoder, WordEncoder):
        return lambda texts: _by_tokens(analyzer, phrases, texts)

    def count(texts: Sequence[str]) -> NDArray[np.int64]:
        ids, offsets = encoder.places(texts)
        columns = [_occurrences(ids, offsets, each, encoder.id_of) for each in phrases]
        return np.stack(columns, axis=1)

    return count


def _by_tokens(
    analyzer: Analyzer, phrases: Sequence[Phrase], texts: Sequence[str]
) -> NDArray[np.int64]:
    analysed = map(analyzer.tokens, texts)
    rows = [[len(phrase.starts(tokens)) for phrase in phrases] for tokens in analysed]
    return np.array(rows, np.int64).reshape(len(texts), len(phrases))


def _occurrences(
    ids: NDArray[np.int32],
    offsets: NDArray[np.int64],
    phrase: Phrase,
    id_of: Callable[[str], int],
) -> NDArray[np.int64]:
    """Count a phrase in texts given as term ids by place: (n,) int64."""
    starts = np.flatnonzero(ids == id_of(phrase.terms[0]))
    texts = offsets.searchsorted(starts, side="right") - 1
    for term, distance in zip(phrase.terms[1:], phrase.offsets[1:], strict=True):
        inside = starts + distance < offsets[texts + 1]
        starts, texts = starts[inside], texts[inside]
        there = ids[starts + distance] == id_of(term)
        starts, texts = starts[there], texts[there]
    return np.bincount(texts, minlength=len(offsets) - 1)
