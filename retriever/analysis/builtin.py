"""The analysers that come with the package."""

from __future__ import annotations

from collections.abc import Callable

from retriever.analysis.analyzer import Analyzer, FunctionAnalyzer
from retriever.analysis.cjk import CJKAnalyzer
from retriever.analysis.filters import lower
from retriever.analysis.languages import LANGUAGES
from retriever.analysis.words import WordAnalyzer

__all__ = ["BUILTIN"]


def _keyword() -> Analyzer:
    return FunctionAnalyzer("keyword", lambda text: [text] if text else [])


BUILTIN: dict[str, Callable[[], Analyzer]] = {
    "standard": lambda: WordAnalyzer("standard", "standard", [lower]),
    "simple": lambda: WordAnalyzer("simple", "letter", [lower]),
    "whitespace": lambda: WordAnalyzer("whitespace", "whitespace"),
    "keyword": _keyword,
    "cjk": CJKAnalyzer,
    **LANGUAGES,
}
