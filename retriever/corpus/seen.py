"""Ids seen so far, in a few bytes each."""

from __future__ import annotations

from array import array

__all__ = ["SeenIds"]

_MASK = (1 << 64) - 1


class SeenIds:
    """Tells whether an id came before, and at which number.

    An open-addressing table of 64-bit hashes, 24 to 48 bytes an id where a dict of strings
    needs some 170. Two different ids share a hash with probability n^2 / 2^65: one in ten
    million for two million ids.
    """

    def __init__(self) -> None:
        self._count = 0
        self._hashes = _zeros(1 << 10)
        self._numbers = _zeros(1 << 10)

    def add(self, id: str, number: int) -> int | None:
        """Note the id under a number; return the number under which it came before, if so."""
        if 3 * self._count >= 2 * len(self._hashes):
            self._grow()
        key = hash(id) & _MASK or 1  # zero marks a free slot
        slot = self._slot(key)
        if self._hashes[slot] == key:
            return self._numbers[slot]
        self._hashes[slot], self._numbers[slot] = key, number
        self._count += 1
        return None

    def _slot(self, key: int) -> int:
        last = len(self._hashes) - 1
        slot = key & last
        while self._hashes[slot] not in (0, key):
            slot = (slot + 1) & last
        return slot

    def _grow(self) -> None:
        old = zip(self._hashes, self._numbers, strict=True)
        size = 2 * len(self._hashes)
        self._hashes, self._numbers = _zeros(size), _zeros(size)
        for key, number in old:
            if key:
                slot = self._slot(key)
                self._hashes[slot], self._numbers[slot] = key, number


def _zeros(size: int) -> array[int]:
    return array("Q", bytes(8 * size))
