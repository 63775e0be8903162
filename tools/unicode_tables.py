"""Write the tables that the tokenizers run on: ``python tools/unicode_tables.py``.

The word breaks are those of Unicode Standard Annex #29, arranged as Lucene's StandardTokenizer
does: runs without a letter, digit or emoji are dropped, Han and Hiragana come one by one, runs of
Thai, Lao, Khmer and Burmese stay whole, and emoji sequences follow UTS #51. The rules are written
here as a regular grammar over sets of characters; this script turns them into a minimal
deterministic automaton and a table of character classes. Properties come from the ``regex``
package, case mappings and general categories from the running Python.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import regex

CODES = 0x110000
TARGET = Path(__file__).resolve().parents[1] / "retriever" / "analysis" / "tables.npz"

# --- sets of characters -------------------------------------------------------------------------

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


def members(pattern: str) -> np.ndarray:
    """Return (0x110000,) bool: which code points a one-character pattern matches."""
    found = np.zeros(CODES, dtype=bool)
    # One string of every character: matching it once is far quicker than a call for each.
    text = "".join(map(chr, range(CODES)))
    for match in regex.finditer(f"(?V1)(?:{pattern})+", text):
        found[match.start() : match.end()] = True
    return found


def classes(properties: dict[str, str]) -> tuple[np.ndarray, dict[str, frozenset[int]]]:
    """Group code points that no set tells apart: (0x110000,) uint8, and each set as classes."""
    columns = np.stack([members(pattern) for pattern in properties.values()], axis=1)
    rows, index = np.unique(columns, axis=0, return_inverse=True)
    sets = {
        name: frozenset(np.flatnonzero(rows[:, i]).tolist()) for i, name in enumerate(properties)
    }
    return index.astype(np.uint8).ravel(), sets


# --- a regular grammar, compiled by way of a nondeterministic automaton --------------------------


@dataclass
class Automaton:
    """A nondeterministic automaton under construction."""

    edges: list[list[tuple[frozenset[int], int]]] = field(default_factory=list)
    empty: list[list[int]] = field(default_factory=list)

    def state(self) -> int:
        """Add a state; return its number."""
        self.edges.append([])
        self.empty.append([])
        return len(self.edges) - 1

    def closure(self, states: Iterable[int]) -> frozenset[int]:
        """Return the states that these reach without reading anything."""
        todo = list(states)
        seen = set(todo)
        while todo:
            for target in self.empty[todo.pop()]:
                if target not in seen:
                    seen.add(target)
                    todo.append(target)
        return frozenset(seen)


# A rule adds itself to the automaton after a state and returns the state where it ends.
Rule = Callable[[Automaton, int], int]


def one(symbols: frozenset[int]) -> Rule:
    """One character of these classes."""

    def build(automaton: Automaton, start: int) -> int:
        end = automaton.state()
        automaton.edges[start].append((symbols, end))
        return end

    return build


def sequence(*rules: Rule) -> Rule:
    """Each rule after the one before."""

    def build(automaton: Automaton, start: int) -> int:
        for rule in rules:
            start = rule(automaton, start)
        return start

    return build


def either(*rules: Rule) -> Rule:
    """Any one of the rules."""

    def build(automaton: Automaton, start: int) -> int:
        end = automaton.state()
        for rule in rules:
            automaton.empty[rule(automaton, start)].append(end)
        return end

    return build


def many(rule: Rule) -> Rule:
    """Nought or more."""

    def build(automaton: Automaton, start: int) -> int:
        loop = automaton.state()
        automaton.empty[start].append(loop)
        automaton.empty[rule(automaton, loop)].append(loop)
        end = automaton.state()
        automaton.empty[loop].append(end)
        return end

    return build


def some(rule: Rule) -> Rule:
    """One or more."""
    return sequence(rule, many(rule))


def maybe(rule: Rule) -> Rule:
    """Nought or one."""
    return either(rule, sequence())


def determine(kinds: list[Rule], symbols: int) -> tuple[np.ndarray, np.ndarray]:
    """Compile: transitions (states, symbols) uint8 and kinds (states,) uint8.

    State 0 is dead and 1 is the start; kind 0 means that no token ends in the state, and of
    several kinds that end there the first wins.
    """
    automaton = Automaton()
    start = automaton.state()
    ends = {}
    for kind, rule in enumerate(kinds, start=1):
        entry = automaton.state()
        automaton.empty[start].append(entry)
        ends[rule(automaton, entry)] = kind
    states = [frozenset[int](), automaton.closure([start])]
    table: list[list[int]] = []
    for state in states:
        row = []
        for symbol in range(symbols):
            reached = automaton.closure(
                target for s in state for over, target in automaton.edges[s] if symbol in over
            )
            if reached not in states:
                states.append(reached)
            row.append(states.index(reached))
        table.append(row)
    accepted = [min((ends[s] for s in state if s in ends), default=0) for state in states]
    return minimal(np.array(table), np.array(accepted))


def minimal(table: np.ndarray, kinds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Merge states that no continuation tells apart (Moore's algorithm)."""
    group, count = kinds, 0
    while True:
        view = np.concatenate([group[:, None], group[table]], axis=1)
        _, first, group = np.unique(view, axis=0, return_index=True, return_inverse=True)
        group = group.ravel()
        if len(first) == count:
            break
        count = len(first)
    # In the order found, so that dead stays 0 and the start 1; but those that accept come last.
    first = np.array(sorted(first, key=lambda state: (kinds[state] > 0, state)))
    renamed = np.empty(count, dtype=np.uint8)
    renamed[group[first]] = np.arange(count)
    return renamed[group[table[first]]], kinds[first].astype(np.uint8)


# --- the grammar of words ------------------------------------------------------------------------


def standard(sets: dict[str, frozenset[int]]) -> list[Rule]:
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


def emoji(sets: dict[str, frozenset[int]]) -> Rule:
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


def runs(pattern: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Tokens that are runs of one set: classes, transitions, kinds."""
    index, sets = classes({"inside": pattern})
    table, kinds = determine([some(one(sets["inside"]))], int(index.max()) + 1)
    return index, table, kinds


def lower_case() -> np.ndarray:
    """(n, 2) int32: code points whose simple lower case differs, and that."""
    pairs = []
    for code in range(CODES):
        lower = chr(code).lower()
        # U+0130 is the one character whose full mapping has two: its simple mapping is "i".
        target = ord(lower[0])
        if target != code:
            pairs.append((code, target))
    return np.array(pairs, dtype=np.int32)


def pack(index: np.ndarray) -> np.ndarray:
    """Run lengths of a table of classes: (n, 2) int32 of first code point and class."""
    first = np.flatnonzero(np.diff(index, prepend=-1))
    return np.stack([first, index[first]], axis=1).astype(np.int32)


def arrays() -> dict[str, np.ndarray]:
    """Return everything that is stored, by name."""
    index, sets = classes(PROPERTIES)
    compiled = {"standard": (index, *determine(standard(sets), int(index.max()) + 1))}
    compiled |= {"letter": runs(r"\p{L}"), "whitespace": runs(NO_WHITESPACE)}
    stored = {"lower": lower_case(), "made_with": np.array([regex.__version__])}
    for name, (index, table, kinds) in compiled.items():
        stored[f"{name}_runs"] = pack(index.astype(np.int16))
        stored[f"{name}_table"] = table
        stored[f"{name}_kinds"] = kinds
    return stored


def main() -> None:
    """Write the file."""
    np.savez_compressed(TARGET, **arrays())


if __name__ == "__main__":
    main()
