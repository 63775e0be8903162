"""Compiled: the words of many texts, numbered by a table of distinct words.

A table of words is three arrays that grow by doubling:

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

__all__ = ["empty_table", "number_words", "settle"]

_next_token = njit(nogil=True, cache=True)(tokenizer.next_token)

_FNV_OFFSET = np.uint64(0xCBF29CE484222325)
_FNV_PRIME = np.uint64(0x100000001B3)
_HALF = np.uint64(32)
_LOW = np.uint64(0xFFFFFFFF)
_ONE = np.uint64(1)


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
def _find(h: Any, codes: Any, start: int, stop: int, slots: Any, starts: Any, letters: Any) -> Any:
    """Return the slot of a word, or the free one where it belongs."""
    mask = np.uint64(len(slots) - 1)
    at = h & mask
    while slots[at] != 0:
        if slots[at] >> _HALF == h >> _HALF:
            word = np.int64(slots[at] & _LOW) - 1
            first = starts[word]
            if starts[word + 1] - first == stop - start:
                i = start
                while i < stop and codes[i] == letters[first + i - start]:
                    i += 1
                if i == stop:
                    break
        at = (at + _ONE) & mask
    return at


@njit(nogil=True, cache=True)
def _longer(array: Any, size: int) -> Any:
    longer = np.empty(size, array.dtype)
    for i in range(len(array)):
        longer[i] = array[i]
    return longer


@njit(nogil=True, cache=True)
def _rehash(words: int, starts: Any, letters: Any, size: int) -> Any:
    slots = np.zeros(size, np.uint64)
    mask = np.uint64(size - 1)
    for word in range(words):
        h = _hash(letters, starts[word], starts[word + 1])
        at = h & mask
        while slots[at] != 0:
            at = (at + _ONE) & mask
        slots[at] = (h >> _HALF) << _HALF | np.uint64(word + 1)
    return slots


@njit(nogil=True, cache=True)
def _append(codes: Any, start: int, stop: int, words: int, starts: Any, letters: Any) -> Any:
    """Write a new word's characters; return the arrays, longer where they were full."""
    end = starts[words] + stop - start
    if end > len(letters):
        letters = _longer(letters, 2 * end)
    for i in range(start, stop):
        letters[starts[words] + i - start] = codes[i]
    if words + 1 == len(starts):
        starts = _longer(starts, 2 * len(starts))
    starts[words + 1] = end
    return starts, letters


@njit(nogil=True, cache=True)
def number_words(codes: Any, bounds: Any, automaton: Any, table: Any, words: int) -> Any:
    """Split texts and number their words; a word's number is given when it is first met.

    Args:
        codes: (c,) uint32: the texts' code points, one after the other.
        bounds: (n + 1,) int64: where each text begins, with the end.
        automaton: classes, steps, accepting and width of the tokenizer's tables.
        table: slots, starts and letters of the words met before.
        words: how many they are.

    Returns:
        (t,) int32 word numbers; (n + 1,) int64 where each text's begin, with the end; the table
        and how many words it has now.

    """
    classes, steps, accepting, width = automaton
    slots, starts, letters = table
    found = np.empty(len(codes) // 4 + 16, np.int32)
    offsets = np.zeros(len(bounds), np.int64)
    count = 0
    for text in range(len(bounds) - 1):
        stop, end = bounds[text], bounds[text + 1]
        while True:
            start, stop, state = _next_token(codes, stop, end, classes, steps, accepting, width)
            if state == 0:
                break
            h = _hash(codes, start, stop)
            at = _find(h, codes, start, stop, slots, starts, letters)
            if slots[at] == 0:
                starts, letters = _append(codes, start, stop, words, starts, letters)
                words += 1
                slots[at] = (h >> _HALF) << _HALF | np.uint64(words)
                if 2 * words > len(slots):
                    slots = _rehash(words, starts, letters, 2 * len(slots))
                    at = _find(h, codes, start, stop, slots, starts, letters)
            if count == len(found):
                found = _longer(found, 2 * count)
            found[count] = np.int64(slots[at] & _LOW) - 1
            count += 1
        offsets[text + 1] = count
    return found[:count], offsets, (slots, starts, letters), words


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
