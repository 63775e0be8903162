"""Work for several threads, and ahead of its use: each job once, in order, and errors in turn."""

from __future__ import annotations

import threading

import pytest

from twopass.reranker.threads import Helpers, prefetch


def test_helpers_do_all_jobs_once_and_are_shared_by_callers():
    helpers, done, at_once, lock = Helpers(2), [], [], threading.Lock()
    running = 0

    def work(job: int) -> None:
        nonlocal running
        with lock:
            running += 1
            at_once.append(running)
        threading.Event().wait(0.001)
        with lock:
            running -= 1
            done.append(job)

    callers = [
        threading.Thread(target=helpers.run, args=(work, range(100 * i, 100 * i + 50)))
        for i in range(3)
    ]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert sorted(done) == [100 * i + job for i in range(3) for job in range(50)]
    assert max(at_once) <= 3 + 2
    helpers.run(work, [])
    assert not any("_help" in thread.name for thread in threading.enumerate())


@pytest.mark.parametrize("number", [0, 2])
def test_helpers_raise_what_a_job_raised_and_begin_no_more(number):
    begun = []

    def work(job: int) -> None:
        begun.append(job)
        if job == 3:
            raise MemoryError("no room")

    helpers = Helpers(number)
    with pytest.raises(MemoryError, match="no room"):
        helpers.run(work, range(1000))
    assert len(begun) < 1000
    helpers.run(begun.append, [5000])  # and they are free again
    assert begun[-1] == 5000


@pytest.mark.parametrize("jobs", [0, 1, 2, 7])
def test_what_is_made_ahead_comes_in_order(jobs):
    assert list(prefetch(lambda job: 2 * job, range(jobs))) == [2 * job for job in range(jobs)]


def test_one_is_made_while_the_last_is_used_and_no_more():
    begun = [threading.Event() for _ in range(4)]

    def work(job: int) -> int:
        begun[job].set()
        return job

    made = prefetch(work, range(4))
    for job in range(4):
        assert next(made) == job
        assert all(event.wait(60) for event in begun[: job + 2])
        assert not any(event.is_set() for event in begun[job + 2 :])


def test_what_a_job_raises_is_raised_in_its_turn():
    begun = []

    def work(job: int) -> int:
        begun.append(job)
        return 1 // (job - 2)

    made = prefetch(work, range(10))
    assert (next(made), next(made)) == (-1, -1)
    with pytest.raises(ZeroDivisionError):
        next(made)
    assert begun[:3] == [0, 1, 2]
    assert len(begun) <= 4


def test_what_is_not_wanted_any_more_is_not_made():
    begun = []
    made = prefetch(lambda job: begun.append(job), range(100))
    next(made)
    made.close()
    assert len(begun) <= 2
