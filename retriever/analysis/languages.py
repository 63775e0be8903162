"""Analysers for languages.

Stop words, Porter and Snowball stemmers, and bigrams for Chinese, Japanese and Korean.

M. F. Porter, "An algorithm for suffix stripping", Program 14(3), 1980, with the two changes that
its author made in his own programs later, in step 2: ``bli`` becomes ``ble`` (not ``abli`` alone)
and ``logi`` becomes ``log``; words of one or two letters stay as they are. PyStemmer's ``porter``
is the paper's; what the changes alter is found here by the ending.

It differs from Lucene's in words that no text is likely to have: where ``ed`` or ``ing`` follows
a doubled ``y`` or a doubled letter beyond ASCII, and where a letter beyond U+FFFF, which Lucene
counts as two, decides about a suffix.

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

As Lucene's CJKAnalyzer: runs of Han, Hiragana, Katakana and Hangul become overlapping pairs, a
character that stands alone stays alone, and everything else is a word in lower case. Forms of
other widths are made the usual ones before.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache, partial
from importlib.resources import files
from itertools import pairwise
from typing import TypeAlias

from twopass.retriever.analysis.analyzer import Analyzer, Token
from twopass.retriever.analysis.token_filters import (
    Step,
    before_apostrophe,
    elision,
    lower,
    possessive,
    stem,
    stop,
    turkish_lower,
)
from twopass.retriever.analysis.tokenizer import (
    HAN,
    HANGUL,
    HIRAGANA,
    KATAKANA,
    load_tokenizer,
    without_surrogates,
)
from twopass.retriever.analysis.words import WordAnalyzer

__all__ = [
    "FRENCH_ARTICLES",
    "ITALIAN_ARTICLES",
    "LANGUAGES",
    "CJKAnalyzer",
    "porter",
    "stop_words",
]


# What step 1 turns into "bli" or "logi", so that step 2 meets it at the end of the word.
_BLI = re.compile("bl[iy](?:e?s|ed|ing)?$")
_LOGI = re.compile("log[iy](?:e?s|ed|ing)?$")

_stem = stem("porter")


def porter(words: Sequence[str]) -> list[str]:
    """Stem words in lower case."""
    return [
        _later(word, stemmed) if len(word) > 2 else word
        for word, stemmed in zip(words, _stem(words), strict=True)
    ]


def _later(word: str, stemmed: str) -> str:
    """Apply the later changes to a stem of the paper's."""
    if stemmed.endswith("bli") and _BLI.search(word) and _measured(stemmed[:-3]):
        return _stem([stemmed[:-1] + "e"])[0]  # steps 3 to 5 from there
    if stemmed.endswith("logi") and _LOGI.search(word) and _measured(stemmed[:-4]):
        return stemmed[:-1]
    return stemmed


def _measured(stem: str) -> bool:
    """Whether the paper's measure m is above 0: a vowel comes before some consonant."""
    vowel = False
    for i, letter in enumerate(stem):
        was, vowel = vowel, letter in "aeiou" or (letter == "y" and i > 0 and not vowel)
        if was and not vowel:
            return True
    return False


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


_KINDS = frozenset({HAN, HANGUL, HIRAGANA, KATAKANA})
_OTHER_WIDTH = re.compile("[\uff01-\uff5e\uff65-\uff9f]+")

# A text and its bounds: what becomes a term, or a character that becomes half of one.
Piece: TypeAlias = tuple[str, int, int]


class CJKAnalyzer(Analyzer):
    """The analyser ``cjk``."""

    def __init__(self) -> None:
        super().__init__("cjk")
        self._tokenizer = load_tokenizer("standard")
        self._stop = stop_words("cjk")

    def tokens(self, text: str) -> list[Token]:
        """Return the text's terms with their places."""
        pieces = self._pieces(without_surrogates(text))
        return [
            Token(term, start, end, position)
            for position, (term, start, end) in enumerate(pieces)
            if term not in self._stop
        ]

    def _pieces(self, text: str) -> Iterator[Piece]:
        run: list[Piece] = []
        for start, end, kind in self._tokenizer.spans(text):
            if run and (kind not in _KINDS or start != run[-1][2]):
                yield from _pairs(run)
                run = []
            if kind in _KINDS:
                run += _characters(text[start:end], start)
            else:
                yield lower([_usual_width(text[start:end])])[0], start, end
        yield from _pairs(run)


def _pairs(run: list[Piece]) -> Iterable[Piece]:
    if len(run) < 2:
        return run
    return [(one + two, start, end) for (one, start, _), (two, _, end) in pairwise(run)]


def _characters(word: str, start: int) -> list[Piece]:
    usual = _usual_width(word)
    if len(usual) == len(word):
        return [(letter, start + i, start + i + 1) for i, letter in enumerate(usual)]
    return [(letter, start, start + len(word)) for letter in usual]  # two made one: no more exact


def _usual_width(word: str) -> str:
    return _OTHER_WIDTH.sub(lambda found: unicodedata.normalize("NFKC", found[0]), word)
