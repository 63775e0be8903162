"""Threads that each compute alone in torch: side by side, none waits for another at every product.

torch keeps for each thread how many threads its products are divided among, and for threads to come
the number that was set last. So these are begun once and stay, and the number for others is set
back before anything else is done.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from threading import Barrier, Lock
from typing import TypeVar

from twopass.reranker.threads import Jobs, reset_in_child

__all__ = ["SoloThreads"]

Job = TypeVar("Job")


class SoloThreads:
    """Does the jobs of all callers, on so many threads in all.

    They are begun by the first call, anew after a fork, and end with this object.

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
        """Do all jobs, the first ones first; after an error, none is begun.

        Raises:
            BaseException: the first that a job raised.

        """
        pool, shared = self._begun(), Jobs(work, jobs)
        tasks = [pool.submit(shared.work) for _ in range(min(self.number, len(jobs)))]
        try:
            wait(tasks)
        except BaseException as error:  # an interrupt: what is not begun is left
            shared.errors.append(error)
            raise
        if shared.errors:
            raise shared.errors[0]

    def _begun(self) -> ThreadPoolExecutor:
        """Return the threads, each of which computes alone."""
        import torch

        with self._lock:
            if self._pool is None:
                before = torch.get_num_threads()
                try:
                    self._pool = self._alone()
                finally:
                    torch.set_num_threads(before)
            return self._pool

    def _alone(self) -> ThreadPoolExecutor:
        import torch

        pool, together = ThreadPoolExecutor(self.number), Barrier(self.number)

        def begin() -> None:
            torch.set_num_threads(1)
            together.wait()  # so that no thread does this twice

        try:
            wait([pool.submit(begin) for _ in range(self.number)])
        except BaseException:  # as where there may be no more threads: let go those that wait
            together.abort()
            pool.shutdown(wait=False)
            raise
        return pool
