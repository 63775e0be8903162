"""An automaton over classes of characters, as ``twopass.retriever.analysis.tokenizer`` has them."""

from __future__ import annotations

from typing import Any

__all__ = ["MAX_LENGTH", "next_token"]

# Lucene's limit in UTF-16 code units: a longer token is cut there and goes on as the next one. Its
# whitespace and letter tokenizers let a character that takes two units reach one beyond.
MAX_LENGTH = 255


def next_token(
    codes: Any, start: int, end: int, classes: Any, steps: Any, accepting: int, width: int
) -> tuple[int, int, int]:
    """Find the first token at or after ``start``: the longest that begins there.

    The same source runs as Python on a query and compiled on a corpus.

    Args:
        codes: (n,) integers: code points.
        start: where to begin.
        end: where the text ends.
        classes: (0x110000,) the class of each code point.
        steps: (states * width,) next state by ``state + class``.
        accepting: the first of the states in which a token may end.
        width: how many classes there are; also the starting state.

    Returns:
        The token's start and end and the state in which it ends; ``(end, end, 0)`` when there
        is none.

    """
    while start < end:
        state, place, stop, last, room = width, start, start, 0, start + MAX_LENGTH
        while place < end:
            code = codes[place]
            if code > 0xFFFF:  # two code units in UTF-16
                room -= 1
            state = int(steps[state + classes[code]])
            if state == 0 or place >= room:
                break
            place += 1
            if state >= accepting:
                last, stop = state, place
        if last != 0:
            return start, stop, last
        start += 1
    return end, end, 0
