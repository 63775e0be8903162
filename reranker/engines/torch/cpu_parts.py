"""A batch on a CPU's cores: cut into parts, and threads that each take one after the other.

A part is a rectangle of rows of about one length. Three things decide about its size. Attention
over a number of tokens that is no multiple of what a processor computes at one time takes up to
twice as long, so rows are padded to one. A product's code is written for every number of tokens,
which takes longer than the product does, so there are few. And activations have to stay in a core's
cache.

torch keeps for each thread how many threads its products are divided among, and for new threads the
number that was set last. So the threads are started once and stay, and the number for others is
restored before anything else is done.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from threading import Barrier, Lock
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from twopass.reranker.engines.engine import plan_batches
from twopass.reranker.threads import Jobs, reset_in_child

__all__ = ["Part", "SingleThreadPool", "parts_token_budget", "split_batch"]

Job = TypeVar("Job")

_LANES = 16  # numbers of 32 bits that a processor computes at one time
_FEW = 128  # tokens of a part are a multiple of it, where it has as many
_ACTIVATIONS = 3 << 17  # numbers: at 384 wide, 1,024 tokens


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """Some rows of a batch, padded to a rectangle, with more padding behind it.

    Attributes:
        rows: (n,) int64: their numbers in the batch.
        own: (n, longest) bool: which of the rectangle's tokens are the rows' own.
        tokens: how many there are, with those behind; at least n * longest.
        firsts: how many rows are computed where one token of each is; at least n.

    """

    rows: NDArray[np.int64]
    own: NDArray[np.bool_]
    tokens: int
    firsts: int

    def spread(self, values: NDArray[np.integer]) -> NDArray[np.int64]:
        """Return the rows' values, given one after the other, by token: (tokens,), elsewhere 0."""
        spread = np.zeros(self.tokens, dtype=np.int64)
        spread[: self.own.size].reshape(self.own.shape)[self.own] = values
        return spread


def parts_token_budget(width: int, workers: int) -> int:
    """Return the best size of a batch in tokens: at its end some workers have nothing to do."""
    return 8 * _limit(width) * workers


def split_batch(lengths: NDArray[np.int64], width: int, workers: int) -> list[Part]:
    """Cut rows into parts, the longest first, for workers that take one after the other.

    Args:
        lengths: (n,) int64, the rows' tokens.
        width: of a token's activations.
        workers: how many are to have something to do.

    Returns:
        The parts; every row is in exactly one.

    """
    padded = _up(lengths, _LANES)
    share = -(-int(padded.sum()) // workers)
    budget = max(_FEW, min(share, _limit(width)))
    found = []
    for rows in plan_batches(padded, budget):
        longest = max(_LANES, int(padded[rows].max()))
        own = np.arange(longest) < lengths[rows, None]
        found.append(Part(rows, own, _up(own.size, _FEW), 1 << (len(rows) - 1).bit_length()))
    return found


def _limit(width: int) -> int:
    """Return how many tokens a part has at most, where a row is not longer."""
    return max(_FEW, _ACTIVATIONS // width)


def _up(number: Any, step: int) -> Any:
    """Round up to a multiple."""
    return -(-number // step) * step


class SingleThreadPool:
    """Does the jobs of all callers on a number of threads, each of which has torch to itself.

    Side by side, none waits for another at every product. The threads are started by the first
    call, and again after a fork, and end with this object.

    Args:
        number: of threads.

    """

    def __init__(self, number: int) -> None:
        self.number = number
        self.reset()
        reset_in_child(self)

    def reset(self) -> None:
        """Forget the threads, as a forked child must, which has none of them."""
        self._lock = Lock()
        self._pool: ThreadPoolExecutor | None = None

    def run(self, work: Callable[[Job], None], jobs: Sequence[Job]) -> None:
        """Do all jobs, the first ones first; after an error, none is started.

        Raises:
            BaseException: the first that a job raised.

        """
        pool, shared = self._started(), Jobs(work, jobs)
        tasks = [pool.submit(shared.work) for _ in range(min(self.number, len(jobs)))]
        try:
            wait(tasks)
        except BaseException as error:  # an interrupt: what is not started is dropped
            shared.errors.append(error)
            raise
        if shared.errors:
            raise shared.errors[0]

    def _started(self) -> ThreadPoolExecutor:
        """Return the threads."""
        import torch

        with self._lock:
            if self._pool is None:
                before = torch.get_num_threads()
                try:
                    self._pool = self._start()
                finally:
                    torch.set_num_threads(before)
            return self._pool

    def _start(self) -> ThreadPoolExecutor:
        import torch

        pool, together = ThreadPoolExecutor(self.number), Barrier(self.number)

        def begin() -> None:
            torch.set_num_threads(1)
            together.wait()  # so that no thread does this twice

        try:
            wait([pool.submit(begin) for _ in range(self.number)])
        except BaseException:  # as where there may be no more threads: let those go that wait
            together.abort()
            pool.shutdown(wait=False)
            raise
        return pool
