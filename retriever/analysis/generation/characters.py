"""Sets of characters, and the classes of those that no set tells apart."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["CODES", "NO_WHITESPACE", "PROPERTIES", "Sets", "classes", "regex"]

CODES = 0x110000

Sets = dict[str, frozenset[int]]
"""Each set of characters, as the classes that it is made of."""

# Lucene's tables stand at Unicode 12.1. Where a later version moved a character that existed then,
# the sets below follow Lucene, so that an index means the same there; characters that came later
# have the properties of the newest version, where Lucene does not know them yet.
NO_LETTER = r"\xB8\u02E5-\u02EB\u055A\u058A\u070F\uA708-\uA716"
NUMBER_SIGN = r"\u0600-\u0605\u06DD\u08E2\U000110BD\U000110CD"  # extend what stands before
ONCE_PICTOGRAPH = (
    r"\u2388\u2605\u2607-\u2612\u2614-\u2685\u2690-\u2705\u2708-\u2712\u2763-\u2767"
    r"\U0001F000-\U0001F0FF\U0001F10D-\U0001F10F\U0001F12F\U0001F16C-\U0001F171"
    r"\U0001F1AD-\U0001F1E5\U0001F249-\U0001F3FA\U0001F400-\U0001F53D\U0001F546-\U0001F64F"
    r"\U0001F680-\U0001F6FF\U0001F774-\U0001F77F\U0001F7D5-\U0001F7FF\U0001F80C-\U0001F80F"
    r"\U0001F848-\U0001F84F\U0001F85A-\U0001F85F\U0001F888-\U0001F88F\U0001F8AE-\U0001F8FF"
    r"\U0001F90C-\U0001F93A\U0001F93C-\U0001F945\U0001F947-\U0001FFFD"
)
# What Java's Character.isWhitespace leaves.
NO_WHITESPACE = r"[^\p{Zl}\p{Zp}\t-\r\x1C-\x1F[\p{Zs}--[\xA0\u2007\u202F]]]"
PROPERTIES = {
    "aletter": rf"[\p{{WB=ALetter}}--[{NO_LETTER}]]",
    "hebrew": r"\p{WB=Hebrew_Letter}",
    "hangul": r"[[\p{WB=ALetter}\p{WB=Hebrew_Letter}]&&\p{sc=Hangul}]",
    "numeric": rf"[[\p{{WB=Numeric}}[\p{{Nd}}&&[\uFF00-\uFFEF]]]--[{NUMBER_SIGN}\u19DA]]",
    "katakana": r"\p{WB=Katakana}",
    "mid_letter": r"[[\p{WB=MidLetter}\p{WB=MidNumLet}\p{WB=Single_Quote}]--\u055F]",
    "mid_num": r"[\p{WB=MidNum}\p{WB=MidNumLet}\p{WB=Single_Quote}\uFE10\uFE14]",
    "extend_num_let": r"\p{WB=ExtendNumLet}",
    "single_quote": r"\p{WB=Single_Quote}",
    "double_quote": r"\p{WB=Double_Quote}",
    "han": r"\p{sc=Han}",
    "hiragana": r"\p{sc=Hiragana}",
    "complex": r"[\p{LB=Complex_Context}\u19DA]",
    "regional": r"\p{WB=Regional_Indicator}",
    "glue": rf"[\p{{WB=Format}}\p{{WB=Extend}}\p{{WB=ZWJ}}{NUMBER_SIGN}\u070F]",
    "zwj": r"\u200D",
    "emoji_selector": r"\uFE0F",
    "selector": r"[\uFE0E\uFE0F]",
    "pictograph": rf"[[\p{{Extended_Pictographic}}{ONCE_PICTOGRAPH}]"
    r"--[\p{Emoji_Modifier}\p{WB=Numeric}]]",
    "modifier_base": r"\p{Emoji_Modifier_Base}",
    "modifier": r"\p{Emoji_Modifier}",
    "keycap_base": r"[0-9#*]",
    "keycap": r"\u20E3",
}


def regex() -> Any:
    """Import the package that knows Unicode's properties.

    Raises:
        ModuleNotFoundError: when it is not installed.

    """
    try:
        import regex
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "making the tables needs the package regex: pip install regex"
        ) from error
    return regex


def members(pattern: str) -> NDArray[np.bool_]:
    """Return (0x110000,) bool: which code points a one-character pattern matches."""
    found = np.zeros(CODES, dtype=bool)
    # One string of every character: matching it once is far quicker than a call for each.
    text = "".join(map(chr, range(CODES)))
    for match in regex().finditer(f"(?V1)(?:{pattern})+", text):
        found[match.start() : match.end()] = True
    return found


def classes(properties: dict[str, str]) -> tuple[NDArray[np.uint8], Sets]:
    """Group code points that no set tells apart: (0x110000,) uint8, and each set as classes."""
    columns = np.stack([members(pattern) for pattern in properties.values()], axis=1)
    rows, index = np.unique(columns, axis=0, return_inverse=True)
    sets = {
        name: frozenset(np.flatnonzero(rows[:, i]).tolist()) for i, name in enumerate(properties)
    }
    return index.astype(np.uint8).ravel(), sets
