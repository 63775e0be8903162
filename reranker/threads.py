"""Threads: work shared by several and done ahead by another, and what a forked child must reset."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from threading import BoundedSemaphore, Thread
from typing import Generic, Protocol, TypeVar
from weakref import WeakSet

__all__ = [
    "Helpers",
    "Jobs",
    "prefetch",
    "reset_in_child",
]


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


Job = TypeVar("Job")
Made = TypeVar("Made")


def prefetch(work: Callable[[Job], Made], jobs: Sequence[Job]) -> Iterator[Made]:
    """Yield what each job makes, in order; the next is made while the caller uses the last.

    What a job raises is raised in its turn.
    """
    if len(jobs) < 2:
        yield from map(work, jobs)
        return
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as thread:
        coming = thread.submit(work, jobs[0])
        for job in jobs[1:]:
            made = coming.result()
            coming = thread.submit(work, job)
            yield made
        yield coming.result()


class Helpers:
    """Threads that help a caller with its jobs, a limited number at a time for all callers.

    They start with a call and end with it: nothing has to be closed, and nothing is lost when
    the process forks. Starting one takes some 50 microseconds.

    Args:
        number: how many may be at work beside the callers themselves.

    """

    def __init__(self, number: int) -> None:
        self._free = BoundedSemaphore(number) if number else None

    def run(self, work: Callable[[Job], None], jobs: Sequence[Job]) -> None:
        """Do all jobs, the first ones first; after an error, none is started.

        Raises:
            BaseException: the first that a job raised.

        """
        shared = Jobs(work, jobs)
        threads: list[Thread] = []
        while len(threads) + 1 < len(jobs) and self._free and self._free.acquire(blocking=False):
            threads.append(Thread(target=self._help, args=(shared,), daemon=True))
            threads[-1].start()
        shared.work()
        for thread in threads:
            thread.join()
        if shared.errors:
            raise shared.errors[0]

    def _help(self, shared: Jobs[Job]) -> None:
        try:
            shared.work()
        finally:
            if self._free:
                self._free.release()


class Jobs(Generic[Job]):
    """Jobs that are still to be done, and what went wrong with others.

    Args:
        work: done with each of them.
        jobs: in order.

    """

    def __init__(self, work: Callable[[Job], None], jobs: Sequence[Job]) -> None:
        self._work = work
        self._waiting = deque(jobs)
        self.errors: list[BaseException] = []

    def work(self) -> None:
        """Do jobs until there are none."""
        while not self.errors:
            try:
                job = self._waiting.popleft()
            except IndexError:
                return
            try:
                self._work(job)
            except BaseException as error:  # the caller raises it
                self.errors.append(error)
