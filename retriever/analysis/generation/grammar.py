"""The grammar of words over classes of characters, and the arrays that it is compiled to."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from twopass.retriever.analysis.generation.automaton import (
    Rule,
    determine,
    either,
    many,
    maybe,
    one,
    sequence,
    some,
)

__all__ = [
    "CODES",
    "NO_WHITESPACE",
    "PROPERTIES",
    "Sets",
    "arrays",
    "classes",
    "regex",
    "standard",
]


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


def standard(sets: Sets) -> list[Rule]:
    """Return one rule for each kind of token, in order of preference."""

    def glued(name: str) -> Rule:  # WB4: a character keeps what extends it
        return sequence(one(sets[name]), many(one(sets["glue"])))

    join = many(glued("extend_num_let"))
    numbers = sequence(
        glued("numeric"), many(sequence(either(join, glued("mid_num")), glued("numeric")))
    )  # WB8, WB11, WB12, WB13a, WB13b
    letter = either(glued("aletter"), glued("hebrew"))
    letters = sequence(
        letter, many(sequence(either(join, glued("mid_letter")), letter))
    )  # WB5, WB6, WB7, WB13a, WB13b
    hebrew = sequence(
        glued("hebrew"),
        either(glued("single_quote"), sequence(glued("double_quote"), glued("hebrew"))),
    )  # WB7a, WB7b, WB7c
    katakana = sequence(glued("katakana"), many(sequence(join, glued("katakana"))))  # WB13
    stretch = either(katakana, some(either(hebrew, numbers, letters)))  # WB9, WB10
    word = sequence(join, stretch, many(sequence(some(glued("extend_num_let")), stretch)), join)
    return [
        emoji(sets),
        sequence(join, numbers, join),
        some(glued("hangul")),
        some(glued("katakana")),
        word,
        some(glued("complex")),
        glued("han"),
        glued("hiragana"),
    ]


def emoji(sets: Sets) -> Rule:
    """Emoji sequences of UTS #51: modifiers, joined ones, tags, keycaps and flags."""
    extension = many(one(sets["glue"] - sets["selector"]))
    selector = maybe(one(sets["emoji_selector"]))

    def extended(name: str) -> Rule:
        return sequence(one(sets[name]), extension)

    joiners = many(one(sets["zwj"]))
    element = either(
        sequence(joiners, extended("pictograph"), selector),
        sequence(maybe(sequence(joiners, extended("modifier_base"))), extended("modifier")),
    )
    # Tags (U+E0020 to U+E007F) extend the character before them, so they need no rule.
    flag = sequence(*[sequence(one(sets["regional"]), many(one(sets["glue"])))] * 2)
    return either(
        sequence(element, many(sequence(one(sets["zwj"]), element))),
        sequence(extended("keycap_base"), selector, extended("keycap")),
        flag,
    )


def runs(pattern: str) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Tokens that are runs of one set: classes, transitions, kinds."""
    index, sets = classes({"inside": pattern})
    table, kinds = determine([some(one(sets["inside"]))], int(index.max()) + 1)
    return index, table, kinds


def lower_case() -> NDArray[Any]:
    """(n, 2) int32: code points whose simple lower case differs, and that."""
    pairs = []
    for code in range(CODES):
        lower = chr(code).lower()
        # U+0130 is the one character whose full mapping has two: its simple mapping is "i".
        target = ord(lower[0])
        if target != code:
            pairs.append((code, target))
    return np.array(pairs, dtype=np.int32)


def pack(index: NDArray[Any]) -> NDArray[Any]:
    """Run lengths of a table of classes: (n, 2) int32 of first code point and class."""
    first = np.flatnonzero(np.diff(index, prepend=-1))
    return np.stack([first, index[first]], axis=1).astype(np.int32)


def arrays() -> dict[str, NDArray[Any]]:
    """Return everything that is stored, by name."""
    index, sets = classes(PROPERTIES)
    compiled = {"standard": (index, *determine(standard(sets), int(index.max()) + 1))}
    compiled |= {"letter": runs(r"\p{L}"), "whitespace": runs(NO_WHITESPACE)}
    stored = {"lower": lower_case(), "made_with": np.array([regex().__version__])}
    for name, (index, table, kinds) in compiled.items():
        stored[f"{name}_runs"] = pack(index.astype(np.int16))
        stored[f"{name}_table"] = table
        stored[f"{name}_kinds"] = kinds
    return stored
