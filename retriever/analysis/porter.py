"""The Porter stemmer as Lucene has it.

M. F. Porter, "An algorithm for suffix stripping", Program 14(3), 1980, with the two changes that
its author made in his own programs later, in step 2: ``bli`` becomes ``ble`` (not ``abli`` alone)
and ``logi`` becomes ``log``; words of one or two letters stay as they are. PyStemmer's ``porter``
is the paper's; what the changes alter is found here by the ending.

It differs from Lucene's in words that no text is likely to have: where ``ed`` or ``ing`` follows
a doubled ``y`` or a doubled letter beyond ASCII, and where a letter beyond U+FFFF, which Lucene
counts as two, decides about a suffix.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from retriever.analysis.filters import stem

__all__ = ["porter"]

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
