"""What happens to each word after splitting: steps from words to terms.

A step takes words and returns as many; an empty string stands for a word that was dropped. A
word's term depends on nothing but the word, so that an index computes it once for each word.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Sequence
from typing import TypeAlias

from twopass.retriever.analysis.tokenizer import load_lower

__all__ = [
    "Step",
    "before_apostrophe",
    "chain",
    "elision",
    "lower",
    "possessive",
    "stem",
    "stop",
    "turkish_lower",
]

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


def turkish_lower(words: Sequence[str]) -> list[str]:
    """Lower with Turkish's two letters i: I -> ı and İ (also as I with a dot above) -> i."""
    return lower([word.replace("I\u0307", "i").replace("I", "ı") for word in words])


def before_apostrophe(words: Sequence[str]) -> list[str]:
    """Keep what stands before the first apostrophe: Turkish writes suffixes of names after it."""
    return [word.replace("\u2019", "'").partition("'")[0] for word in words]


def elision(articles: Collection[str]) -> Step:
    """Return a step that removes these articles where an apostrophe follows them."""
    removed = frozenset(articles)

    def run(words: Sequence[str]) -> list[str]:
        return [_without_article(word, removed) for word in words]

    return run


def _without_article(word: str, articles: frozenset[str]) -> str:
    article, apostrophe, rest = word.replace("\u2019", "'").partition("'")
    return word[-len(rest) :] if apostrophe and rest and article.lower() in articles else word


def stop(words: Collection[str]) -> Step:
    """Return a step that drops these words."""
    dropped = frozenset(words)
    return lambda given: ["" if word in dropped else word for word in given]


def stem(algorithm: str) -> Step:
    """Return a step that stems by a Snowball algorithm, named as PyStemmer does."""
    stemmers = threading.local()  # a stemmer must not be used by two threads at once

    def run(words: Sequence[str]) -> list[str]:
        if not hasattr(stemmers, "mine"):
            import Stemmer

            # No cache inside: whoever stems in bulk brings each word once.
            stemmers.mine = Stemmer.Stemmer(algorithm, 0)
        stems: list[str] = stemmers.mine.stemWords(words)
        return stems

    return run
