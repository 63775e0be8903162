"""Text -> terms, the same at index and query time."""

from __future__ import annotations

from twopass.retriever.analysis.analyzer import Analyzer, Encoder, FunctionAnalyzer, Token
from twopass.retriever.analysis.registry import available_analyzers, get_analyzer, register_analyzer

__all__ = [
    "Analyzer",
    "Encoder",
    "FunctionAnalyzer",
    "Token",
    "available_analyzers",
    "get_analyzer",
    "register_analyzer",
]
