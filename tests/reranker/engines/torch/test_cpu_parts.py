"""Threads that compute alone in torch: all jobs once, errors raised, other threads as they were."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections import Counter

import pytest
import torch

from twopass.reranker.engines.torch.cpu_parts import SingleThreadPool


def threads_elsewhere() -> int:
    """Return how many threads torch takes in a thread that was begun just now."""
    found: list[int] = []
    thread = threading.Thread(target=lambda: found.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    return found[0]


def test_each_computes_alone_and_all_others_as_before():
    before, elsewhere = torch.get_num_threads(), threads_elsewhere()
    pool, inside, done, together = (
        SingleThreadPool(3),
        Counter(),
        [],
        threading.Barrier(3, timeout=60),
    )

    def work(job: int) -> None:
        if job < 3:
            together.wait()  # three at one time
        inside[threading.current_thread().name, torch.get_num_threads()] += 1
        done.append(job)

    callers = [threading.Thread(target=pool.run, args=(done.append, range(9))) for _ in range(4)]
    pool.run(work, range(40))
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert sorted(done) == sorted([*range(40), *4 * list(range(9))])
    assert len(inside) == 3
    assert {threads for _, threads in inside} == {1}
    assert (torch.get_num_threads(), threads_elsewhere()) == (before, elsewhere)


def test_an_error_is_raised_and_what_is_not_begun_is_left():
    pool, begun = SingleThreadPool(1), []

    def work(job: int) -> None:
        begun.append(job)
        if job == 2:
            raise ValueError(f"job {job}")

    with pytest.raises(ValueError, match="job 2"):
        pool.run(work, range(9))
    assert begun == [0, 1, 2]
    pool.run(begun.append, [7])
    assert begun[-1] == 7


def test_where_there_may_be_no_more_threads_none_is_left_waiting(monkeypatch):
    before, start = torch.get_num_threads(), threading.Thread.start

    def refused(thread: threading.Thread) -> None:
        if thread.name.endswith("_1"):
            raise RuntimeError("can't start new thread")
        start(thread)

    pool, done = SingleThreadPool(2), []
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refused)
        with pytest.raises(RuntimeError, match="new thread"):
            pool.run(done.append, range(5))
    assert torch.get_num_threads() == threads_elsewhere() == before
    pool.run(done.append, range(5))
    assert sorted(done) == list(range(5))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_has_threads_of_its_own():
    program = """
import os
from twopass.reranker import CrossEncoder
model = CrossEncoder("twopass/tiny", device="cpu", engine="packed")
pairs = [("query", "document " * n) for n in range(1, 30)]
before = model.predict(pairs).tolist()
child = os.fork()
again = model.predict(pairs).tolist()
if not child:
    os._exit(0 if again == before else 1)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), again == before)
"""
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False
    )
    assert ran.stdout.split() == ["0", "True"], ran.stderr
