"""Compiled: the words of many texts, numbered by a table of distinct words.

A table of words is three arrays:

    slots (2^s,) uint64: by hash with linear probing, the upper half of a word's hash above its
        number plus one; 0 where free;
    starts (w + 1,) int64: where each word's characters begin, with the end;
    letters (c,) uint32: the words' code points.

Importing this module loads numba; what it compiles is cached beside it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from retriever.analysis import tokenizer

__all__ = ["empty_table", "number_words", "rehash", "settle"]

_next_token = njit(nogil=True, cache=True)(tokenizer.next_token)

_FNV_OFFSET = np.uint64(0xCBF29CE484222325)
_FNV_PRIME = np.uint64(0x100000001B3)
_HALF = np.uint64(32)
_LOW = np.uint64(0xFFFFFFFF)
_ONE = np.uint64(1)
_FREE = np.uint64(0)


def empty_table(size: int = 1 << 12) -> tuple[Any, Any, Any]:
    """Return a table without words: slots, starts, letters."""
    return (
        np.zeros(size, dtype=np.uint64),
        np.zeros(size // 2 + 1, dtype=np.int64),
        np.empty(size * 4, dtype=np.uint32),
    )


@njit(nogil=True, cache=True)
def _hash(codes: Any, start: int, stop: int) -> Any:
    """Fowler-Noll-Vo (1a) by code points, with the upper bits brought down."""
    h = _FNV_OFFSET
    for i in range(start, stop):
        h = (h ^ np.uint64(codes[i])) * _FNV_PRIME
    return h ^ (h >> np.uint64(29))


@njit(nogil=True, cache=True)
def _same(codes: Any, start: int, stop: int, letters: Any, first: int, last: int) -> bool:
    if stop - start != last - first:
        return False
    for i in range(stop - start):  # noqa: SIM110 - a generator does not compile
        if codes[start + i] != letters[first + i]:
            return False
    return True


@njit(nogil=True, cache=True)
def _find(h: Any, codes: Any, start: int, stop: int, slots: Any, starts: Any, letters: Any) -> Any:
    """Return the slot of a word, or the free one where it belongs."""
    mask = np.uint64(len(slots) - 1)
    at = h & mask
    while True:
        entry = slots[at]
        if entry == _FREE:
            return at  # returned from here, the loop compiles to half the time of one that breaks
        if entry >> _HALF == h >> _HALF:
            word = np.int64(entry & _LOW) - 1
            if _same(codes, start, stop, letters, starts[word], starts[word + 1]):
                return at
        at = (at + _ONE) & mask


@njit(nogil=True, cache=True)
def rehash(words: int, starts: Any, letters: Any, size: int) -> Any:
    """Return the ``size`` slots of a table of so many words."""
    slots = np.zeros(size, np.uint64)
    mask = np.uint64(size - 1)
    for word in range(words):
        h = _hash(letters, starts[word], starts[word + 1])
        at = h & mask
        while slots[at] != _FREE:
            at = (at + _ONE) & mask
        slots[at] = (h >> _HALF) << _HALF | np.uint64(word + 1)
    return slots


@njit(nogil=True, cache=True)
def number_words(
    codes: Any, bounds: Any, automaton: Any, table: Any, progress: Any, found: Any, offsets: Any
) -> Any:
    """Split texts and number their words, until all is done or the table may be full.

    A word's number is given when it is first met.

    Args:
        codes: (c,) uint32: the texts' code points, one after the other.
        bounds: (n + 1,) int64: where each text begins, with the end.
        automaton: classes, steps, accepting and width of the tokenizer's tables.
        table: slots, starts and letters; words are added in place.
        progress: texts done, place in ``codes``, words found, words in the table.
        found: (c,) int32: receives the word numbers.
        offsets: (n + 1,) int64: receives where each text's words begin, with the end.

    Returns:
        The new ``progress``.

    """
    classes, steps, accepting, width = automaton
    slots, starts, letters = table
    text, stop, count, words = progress
    # The arrays are never replaced in this loop: that would cost a reference count a word.
    full = min(len(slots) // 2, len(starts) - 1)
    brim = len(letters) - tokenizer.MAX_LENGTH
    while text < len(bounds) - 1:
        if words >= full or starts[words] > brim:
            break
        start, stop, state = _next_token(
            codes, stop, bounds[text + 1], classes, steps, accepting, width
        )
        if state == 0:
            text += 1
            offsets[text] = count
            continue
        h = _hash(codes, start, stop)
        at = _find(h, codes, start, stop, slots, starts, letters)
        if slots[at] == _FREE:
            for i in range(stop - start):
                letters[starts[words] + i] = codes[start + i]
            starts[words + 1] = starts[words] + stop - start
            words += 1
            slots[at] = (h >> _HALF) << _HALF | np.uint64(words)
        found[count] = np.int64(slots[at] & _LOW) - 1
        count += 1
    return text, stop, count, words


@njit(nogil=True, cache=True)
def settle(words: Any, offsets: Any, ids: Any) -> Any:
    """Turn word numbers into term ids and leave out the words that have none.

    Args:
        words: (t,) int32: word numbers.
        offsets: (n + 1,) int64: where each text's words begin, with the end.
        ids: (w,) int32: term id of each word, -1 for none.

    Returns:
        (s,) int32 term ids; (n + 1,) int64 where each text's begin, with the end.

    """
    terms = np.empty(len(words), np.int32)
    kept = np.zeros(len(offsets), np.int64)
    count = 0
    for text in range(len(offsets) - 1):
        for i in range(offsets[text], offsets[text + 1]):
            term = ids[words[i]]
            if term >= 0:
                terms[count] = term
                count += 1
        kept[text + 1] = count
    return terms[:count], kept
