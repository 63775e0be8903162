"""The grammar of words."""

from __future__ import annotations

from retriever.analysis.generation.automaton import Rule, either, many, maybe, one, sequence, some
from retriever.analysis.generation.characters import Sets

__all__ = ["standard"]


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
