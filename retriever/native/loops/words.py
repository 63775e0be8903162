"""Loops over texts.

Strings gathered one after another, and words numbered by a table of distinct words.

A word of up to seven ASCII characters is its own key: its bytes and its length in eight bytes. Any
other has a hash, marked in the highest bit, and is compared letter by letter. Texts are split some
hundred words at a time, and these are then looked up together: the processor waits for several
places of the table at once.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from twopass.retriever.native.loops import automaton

__all__ = [
    "gather",
    "number",
    "rehash",
    "settle",
]


@njit
def gather(data: Any, starts: Any, stops: Any, out: Any, ends: Any) -> None:
    """Copy parts of some bytes to where they follow one another.

    Args:
        data: (b,) uint8.
        starts: (n,) int64: where each part begins.
        stops: (n,) int64: where it ends.
        out: as many uint8 as the parts have together.
        ends: (n,) int64: receives where each one ends there.

    """
    at = np.uint64(0)
    for i in range(len(starts)):
        for place in range(np.uint64(starts[i]), np.uint64(stops[i])):
            out[at] = data[place]
            at += np.uint64(1)
        ends[i] = at


_next_token = njit(automaton.next_token)

_SHORT = 7
_FNV_OFFSET = np.uint64(0xCBF29CE484222325)
_FNV_PRIME = np.uint64(0x100000001B3)
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_LONG = np.uint64(1 << 63)
_FREE = np.uint64(0)
_ONE = np.uint64(1)


@njit
def number(
    codes: Any, bounds: Any, tables: Any, words: Any, block: Any, progress: Any, found: Any,
    offsets: Any,
) -> None:  # fmt: skip
    """Split texts and number their words, until all is done or the table may be full.

    A word's number is given when it is first met.

    Args:
        codes: (c,) uint32: the texts' code points, one after the other.
        bounds: (n + 1,) int64: where each text begins, with the end.
        tables: a ``Tables``.
        words: a ``Words``; words are added in place.
        block: a ``Block``.
        progress: (4,) int64: texts done, place in ``codes``, words found, words in the table.
        found: (c,) int32: receives the word numbers.
        offsets: (n + 1,) int64: receives where each text's words begin, with the end.

    """
    size = len(block.keys)
    full = min(len(words.slots) // 4, len(words.starts) - 1) - size
    brim = len(words.letters) - size * (automaton.MAX_LENGTH + 1)
    while progress[0] < len(bounds) - 1:
        known = progress[3]
        if known > full or words.starts[known] > brim:
            break
        before = progress[2]
        n = _split(codes, bounds, tables, block, progress, offsets)
        progress[3] = _look_up(codes, words, block, n, known, found[before : before + n])


@njit
def _split(codes: Any, bounds: Any, tables: Any, block: Any, progress: Any, offsets: Any) -> int:
    """Fill the block with the next words; return how many."""
    text, stop = progress[0], progress[1]
    n = 0
    while n < len(block.keys) and text < len(bounds) - 1:
        start, stop, state = _next_token(
            codes, stop, bounds[text + 1], tables.classes, tables.steps, tables.accepting,
            tables.width,
        )  # fmt: skip
        if state == 0:
            text += 1
            offsets[text] = progress[2] + n
            continue
        block.starts[n], block.stops[n] = start, stop
        block.keys[n] = _key(codes, start, stop)
        n += 1
    progress[0], progress[1] = text, stop
    progress[2] += n
    return n


@njit
def _key(codes: Any, start: int, stop: int) -> Any:
    if stop - start <= _SHORT:
        key = np.uint64(stop - start)
        seen = np.uint64(0)
        for i in range(start, stop):
            code = np.uint64(codes[i])
            key = (key << np.uint64(8)) | code
            seen |= code
        if seen < np.uint64(0x80):
            return key
    h = _FNV_OFFSET
    for i in range(start, stop):
        h = (h ^ np.uint64(codes[i])) * _FNV_PRIME
    return h | _LONG


@njit
def _look_up(codes: Any, words: Any, block: Any, n: int, known: int, found: Any) -> int:
    """Give the block's words their numbers; return how many words the table has then."""
    slots, starts, letters = words.slots, words.starts, words.letters
    for i in range(n):
        key = block.keys[i]
        at = _find(key, codes, block.starts[i], block.stops[i], words)
        if slots[at] == _FREE:
            start, stop = block.starts[i], block.stops[i]
            end = starts[known]
            for j in range(stop - start):
                letters[end + j] = codes[start + j]
            starts[known + 1] = end + stop - start
            slots[at] = key
            slots[at + _ONE] = known
            known += 1
        found[i] = slots[at + _ONE]
    return known


@njit
def _find(key: Any, codes: Any, start: int, stop: int, words: Any) -> Any:
    """Return the slot of a word, or the free one where it belongs."""
    slots, starts, letters = words.slots, words.starts, words.letters
    mask = np.uint64(len(slots) // 2 - 1)
    at = _place(key, mask)
    while True:
        entry = slots[at << _ONE]
        if entry == _FREE:
            return at << _ONE
        if entry == key:
            if key < _LONG:
                return at << _ONE
            word = np.int64(slots[(at << _ONE) + _ONE])
            if _same(codes, start, stop, letters, starts[word], starts[word + 1]):
                return at << _ONE
        at = (at + _ONE) & mask


@njit
def _place(key: Any, mask: Any) -> Any:
    h = key * _GOLDEN
    return (h ^ (h >> np.uint64(32))) & mask


@njit
def _same(codes: Any, start: int, stop: int, letters: Any, first: int, last: int) -> bool:
    if stop - start != last - first:
        return False
    for i in range(stop - start):  # noqa: SIM110 - a generator does not compile
        if codes[start + i] != letters[first + i]:
            return False
    return True


@njit
def rehash(slots: Any, larger: Any) -> None:
    """Put what the slots hold into more slots, which are free."""
    mask = np.uint64(len(larger) // 2 - 1)
    for i in range(0, len(slots), 2):
        if slots[i] == _FREE:
            continue
        at = _place(slots[i], mask)
        while larger[at << _ONE] != _FREE:
            at = (at + _ONE) & mask
        larger[at << _ONE] = slots[i]
        larger[(at << _ONE) + _ONE] = slots[i + 1]


@njit
def settle(words: Any, offsets: Any, ids: Any, terms: Any, kept: Any) -> None:
    """Turn word numbers into term ids and leave out the words that have none.

    Args:
        words: (t,) int32: word numbers.
        offsets: (n + 1,) int64: where each text's words begin, with the end.
        ids: (w,) int32: term id of each word, -1 for none.
        terms: (t,) int32: receives term ids.
        kept: (n + 1,) int64: receives where each text's begin, with the end.

    """
    count = 0
    kept[0] = 0
    for text in range(len(offsets) - 1):
        for i in range(offsets[text], offsets[text + 1]):
            term = ids[words[i]]
            terms[count] = term
            count += term >= 0
        kept[text + 1] = count
