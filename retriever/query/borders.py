"""Where a text can be cut: between sentences and between words, found once for all cuts."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from functools import cached_property

__all__ = ["Borders"]

# Where one sentence ends and the next begins: a full stop needs white space after it, as it also
# stands in numbers and names; the full stops of Chinese and Japanese do not. No quantifier gives
# anything back, so that a long run of any character is read once.
_STOPS = ".!?…؟۔।"
_SENTENCE = re.compile(
    rf"(?<=[{_STOPS}])[\"'”’»)\]]*+(?P<space>\s++)"
    r"|(?P<stops>[。！？｡]++)[」』）”’]*+\s*+"
    r"|(?P<line>\n\s*+)"
)
_SPACE = re.compile(r"\s++")


class Borders:
    """The borders of a text.

    Args:
        text: the text.

    """

    def __init__(self, text: str) -> None:
        self._text = text

    def sentence_before(self, floor: int, limit: int) -> int | None:
        """Return where the last sentence begins that does so by ``limit``.

        None where the end of its predecessor is not at or after ``floor``.
        """
        _, last, _, ends = self._sentences
        at = bisect_right(ends, limit) - 1
        return ends[at] if at >= 0 and last[at] >= floor else None

    def sentence_end(self, floor: int, limit: int) -> int | None:
        """Return where the last sentence ends that does so from ``floor`` to ``limit``."""
        first, last, closes, _ = self._sentences
        at = bisect_left(first, limit) - 1
        return min(closes[at], limit) if at >= 0 and last[at] >= floor else None

    def word_after(self, floor: int, limit: int) -> int | None:
        """Return where the first white space from ``floor`` to ``limit`` ends; None without any."""
        starts, ends = self._spaces
        at = bisect_right(ends, floor)
        return min(ends[at], limit) if at < len(ends) and starts[at] < limit else None

    def word_end(self, floor: int, limit: int) -> int | None:
        """Return where the last white space from ``floor`` to ``limit`` begins; None without."""
        starts, ends = self._spaces
        at = bisect_left(starts, limit) - 1
        return max(starts[at], floor) if at >= 0 and ends[at] > floor else None

    @cached_property
    def _sentences(self) -> tuple[list[int], list[int], list[int], list[int]]:
        """Of each border between sentences, all ascending.

        The first place by which it can be seen to be one, the last such place, where the text
        before it ends, and where the text behind it begins.
        """
        first, last, closes, ends = [], [], [], []
        for found in _SENTENCE.finditer(self._text):
            start, end, kind = found.start(), found.end(), found.lastgroup or ""
            seen = found.start(kind)
            line = self._text.rfind("\n", seen, end)
            stop = {"space": start - 1, "stops": found.end("stops") - 1}.get(kind, start)
            first.append(seen)
            last.append(max(stop, line))
            closes.append(self._before_spaces(seen if kind != "stops" else end))
            ends.append(end)
        return first, last, closes, ends

    def _before_spaces(self, end: int) -> int:
        while end and self._text[end - 1].isspace():
            end -= 1
        return end

    @cached_property
    def _spaces(self) -> tuple[list[int], list[int]]:
        found = [match.span() for match in _SPACE.finditer(self._text)]
        return [start for start, _ in found], [end for _, end in found]
