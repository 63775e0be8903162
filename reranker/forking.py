"""What a forked child must begin anew: locks that may be held, threads that are not there."""

from __future__ import annotations

import os
from typing import Protocol
from weakref import WeakSet

__all__ = ["reset_in_child"]


class _Resettable(Protocol):
    def reset(self) -> None: ...


_all: WeakSet[_Resettable] = WeakSet()


def reset_in_child(thing: _Resettable) -> None:
    """Have a thing's ``reset()`` called in every child process, as long as the thing lives."""
    _all.add(thing)


def _reset() -> None:
    for thing in list(_all):
        thing.reset()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset)
