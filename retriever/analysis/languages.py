"""Analysers for languages: Lucene's word breaks, stop words, and the Snowball stemmers.

Each chain splits as ``standard`` does, lowers, drops the language's stop words and stems. Named
as Elasticsearch's language analysers, they come close to those, but only ``english`` is the same
in every step. What differs:

- ``danish``, ``dutch``, ``finnish``, ``hungarian``, ``norwegian``, ``romanian``, ``russian``,
  ``swedish`` and ``turkish`` have the same steps, but Snowball's stemmers have moved on since
  Lucene took them over, so that some words have another stem; ``dutch`` lacks Lucene's list of
  four exceptions (fiets, bromfiets, ei, kind), and ``turkish`` its stop words, whose source has
  no licence of its own.
- ``french``, ``german``, ``italian``, ``portuguese`` and ``spanish`` stem by Snowball where
  Elasticsearch has lighter stemmers; the same chain there is a custom analyser with the filters
  ``lowercase``, ``stop`` and ``snowball``.
- ``arabic`` stems by Snowball, which also normalises, where Elasticsearch has the light10 stemmer.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from importlib.resources import files

from retriever.analysis.analyzer import Analyzer
from retriever.analysis.filters import (
    Step,
    before_apostrophe,
    elision,
    lower,
    possessive,
    stem,
    stop,
    turkish_lower,
)
from retriever.analysis.porter import porter
from retriever.analysis.words import WordAnalyzer

__all__ = ["FRENCH_ARTICLES", "ITALIAN_ARTICLES", "LANGUAGES", "stop_words"]

# Articles and the like that French and Italian write before an apostrophe.
FRENCH_ARTICLES = (
    "l",
    "m",
    "t",
    "qu",
    "n",
    "s",
    "j",
    "d",
    "c",
    "jusqu",
    "quoiqu",
    "lorsqu",
    "puisqu",
)
ITALIAN_ARTICLES = (
    *("c", "l", "all", "dall", "dell", "nell", "sull", "coll", "pell", "gl", "agl", "dagl"),
    *("degl", "negl", "sugl", "un", "m", "t", "s", "v", "d"),
)

_SNOWBALL = {"dutch": "dutch_porter"}  # Lucene's Dutch is the older of Snowball's two
_PLAIN = (
    *("arabic", "danish", "dutch", "finnish", "german", "hungarian", "norwegian", "portuguese"),
    *("romanian", "russian", "spanish", "swedish"),
)


@cache
def stop_words(language: str) -> frozenset[str]:
    """Return a language's stop words, as they ship."""
    path = files(__package__).joinpath("stopwords", f"{language}.txt")
    return frozenset(path.read_text(encoding="utf-8").split())


def _analyzer(language: str, *before: Step) -> Analyzer:
    steps = [
        *(before or (lower,)),
        stop(stop_words(language)),
        stem(_SNOWBALL.get(language, language)),
    ]
    return WordAnalyzer(language, "standard", steps)


def _english() -> Analyzer:
    return WordAnalyzer(
        "english", "standard", [possessive, lower, stop(stop_words("english")), porter]
    )


def _turkish() -> Analyzer:
    return WordAnalyzer("turkish", "standard", [before_apostrophe, turkish_lower, stem("turkish")])


LANGUAGES: dict[str, Callable[[], Analyzer]] = {
    "english": _english,
    "french": partial(_analyzer, "french", elision(FRENCH_ARTICLES), lower),
    "italian": partial(_analyzer, "italian", elision(ITALIAN_ARTICLES), lower),
    "turkish": _turkish,
    **{language: partial(_analyzer, language) for language in _PLAIN},
}
