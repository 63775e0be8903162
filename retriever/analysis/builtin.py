"""The analysers that come with the package."""

from __future__ import annotations

from collections.abc import Callable

from retriever.analysis.analyzer import Analyzer, FunctionAnalyzer
from retriever.analysis.filters import lower, possessive, stem, stop
from retriever.analysis.words import WordAnalyzer

__all__ = ["BUILTIN"]

# The words that Lucene's EnglishAnalyzer drops.
_ENGLISH = frozenset(
    "a an and are as at be but by for if in into is it no not of on or such that the their then "
    "there these they this to was will with".split()  # noqa: SIM905 - read as a sentence
)


def _english() -> Analyzer:
    steps = [possessive, lower, stop(_ENGLISH), stem("porter", shortest=3)]
    return WordAnalyzer("english", "standard", steps)


def _keyword() -> Analyzer:
    return FunctionAnalyzer("keyword", lambda text: [text] if text else [])


BUILTIN: dict[str, Callable[[], Analyzer]] = {
    "english": _english,
    "standard": lambda: WordAnalyzer("standard", "standard", [lower]),
    "simple": lambda: WordAnalyzer("simple", "letter", [lower]),
    "whitespace": lambda: WordAnalyzer("whitespace", "whitespace"),
    "keyword": _keyword,
}
