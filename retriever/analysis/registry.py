"""Analysers by name: those that come with the package, the user's own, and plugins'."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any

from twopass.plugins import load_plugin, plugin_names
from twopass.retriever.analysis.analyzer import Analyzer, FunctionAnalyzer, Token
from twopass.retriever.analysis.languages import LANGUAGES, CJKAnalyzer
from twopass.retriever.analysis.token_filters import lower
from twopass.retriever.analysis.words import WordAnalyzer
from twopass.retriever.errors import AnalysisError

__all__ = [
    "BUILTIN",
    "available_analyzers",
    "get_analyzer",
    "register_analyzer",
]


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


_GROUP = "twopass.analyzers"  # entry points of other distributions

_registered: dict[str, Analyzer] = {}


def get_analyzer(which: str | Mapping[str, Any] | Analyzer) -> Analyzer:
    """Find an analyser by its name, or by the ``spec`` that an index stored.

    Raises:
        AnalysisError: when there is none of that name, or only one of another version.

    """
    if isinstance(which, Analyzer):
        return which
    if isinstance(which, str):
        return _by_name(which)
    found = _by_name(which.get("name"))
    if which.get("version") != found.version:
        raise AnalysisError(
            f"the index was made by version {which.get('version')} of the analyser "
            f"{found.name!r}, here is version {found.version}, whose terms may differ; build the "
            "index again with this version, or use the twopass that made it"
        )
    return found


def _by_name(name: Any) -> Analyzer:
    if name in _registered:
        return _registered[name]
    if name in BUILTIN:
        return _builtin(name)
    if isinstance(name, str) and (added := load_plugin(_GROUP, name)) is not None:
        return register_analyzer(name, added)
    raise AnalysisError(
        f"no analyser is called {name!r}; there are {', '.join(available_analyzers())}; "
        "one of your own must be given to register_analyzer first"
    )


@cache
def _builtin(name: str) -> Analyzer:
    return BUILTIN[name]()


def register_analyzer(
    name: str, analyzer: Analyzer | Callable[[str], Iterable[str | Token]]
) -> Analyzer:
    """Make an analyser known by a name, for this process.

    Args:
        name: the name that an index stores; whoever opens the index must register it again.
        analyzer: an analyser of that name, or a function from text to terms (or tokens, which
            carry the places that highlights need).

    Raises:
        AnalysisError: when the name is one of the package's own, or not the analyser's.

    """
    if name in BUILTIN:
        raise AnalysisError(f"analyser {name!r} comes with the package; choose another name")
    if not isinstance(analyzer, Analyzer):
        analyzer = FunctionAnalyzer(name, analyzer)
    if analyzer.name != name:
        raise AnalysisError(
            f"expected an analyser called {name!r}, found one called {analyzer.name!r}"
        )
    _registered[name] = analyzer
    return analyzer


def available_analyzers() -> list[str]:
    """Return the names of all analysers, sorted."""
    return sorted(plugin_names(_GROUP, [*BUILTIN, *_registered]))
