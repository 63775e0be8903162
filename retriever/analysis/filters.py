"""What happens to each word after splitting: steps from words to terms.

A step takes words and returns as many; an empty string stands for a word that was dropped. A
word's term depends on nothing but the word, so that an index computes it once for each word.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Sequence
from typing import Any, TypeAlias

from retriever.analysis.tables import load_lower

__all__ = ["Step", "chain", "lower", "possessive", "stem", "stop"]

Step: TypeAlias = Callable[[Sequence[str]], list[str]]

_APOSTROPHES = ("'", "\u2019", "\uff07")
_POSSESSIVE = tuple(mark + s for mark in _APOSTROPHES for s in "sS")


def chain(steps: Sequence[Step]) -> Step:
    """Return the steps one after the other as one."""

    def run(words: Sequence[str]) -> list[str]:
        for step in steps:
            words = step(words)
        return list(words)

    return run


def lower(words: Sequence[str]) -> list[str]:
    """Lower each character by itself (Unicode's simple mapping), whatever stands around it.

    ``str.lower`` differs for the final sigma and the dotted capital I.
    """
    table = load_lower()
    return [word.lower() if word.isascii() else word.translate(table) for word in words]


def possessive(words: Sequence[str]) -> list[str]:
    """Remove the English possessive: an apostrophe and s at the end."""
    return [word[:-2] if word.endswith(_POSSESSIVE) else word for word in words]


def stop(words: Collection[str]) -> Step:
    """Return a step that drops these words."""
    dropped = frozenset(words)
    return lambda given: ["" if word in dropped else word for word in given]


def stem(algorithm: str, *, shortest: int = 0) -> Step:
    """Return a step that stems by a Snowball algorithm.

    Args:
        algorithm: its name in PyStemmer.
        shortest: words with fewer characters stay as they are.

    """
    stemmers = threading.local()  # a stemmer must not be used by two threads at once

    def run(words: Sequence[str]) -> list[str]:
        if not hasattr(stemmers, "mine"):
            stemmers.mine = _stemmer(algorithm)
        stems: list[str] = stemmers.mine.stemWords(words)
        if not shortest:
            return stems
        return [
            word if len(word) < shortest else stemmed
            for word, stemmed in zip(words, stems, strict=True)
        ]

    return run


def _stemmer(algorithm: str) -> Any:
    import Stemmer

    # No cache inside: whoever calls in bulk sees each word once.
    return Stemmer.Stemmer(algorithm, 0)
