"""Batches across callers: order, isolation, fairness, limits, ends."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from twopass.reranker import CrossEncoder, Scorer, Wrapper
from twopass.reranker.contract.deadlines import NO_DEADLINE, Deadline, Pace
from twopass.reranker.contract.errors import InputError, OutputError, OverloadedError, RerankerError
from twopass.reranker.contract.scores import Scores
from twopass.reranker.scorers.batching import BatchingScorer
from twopass.reranker.scorers.batching.queue import FairQueue, Request

Pairs = Sequence[tuple[str, str]]


def expected(pairs: Pairs) -> NDArray[np.float32]:
    return np.array([zlib.crc32("\0".join(pair).encode()) % 9973 for pair in pairs], np.float32)


class Checksums:
    """A scorer whose scores tell the pairs; it fails on poison, and can be made to wait."""

    def __init__(self) -> None:
        self.batches: list[list[tuple[str, str]]] = []
        self.open = threading.Event()
        self.open.set()
        self.entered = threading.Event()

    def predict(self, pairs: Pairs) -> NDArray[np.float32]:
        self.batches.append(list(pairs))
        self.entered.set()
        assert self.open.wait(30)
        if any("poison" in text for _, text in pairs):
            raise ValueError("poisoned")
        return expected(pairs)

    @property
    def seen(self) -> set[tuple[str, str]]:
        return set(chain.from_iterable(self.batches))


@pytest.fixture
def inner() -> Checksums:
    return Checksums()


@pytest.fixture
def blocked(inner: Checksums) -> Iterator[tuple[BatchingScorer, ThreadPoolExecutor]]:
    """Give a batching scorer whose thread is held up in a first batch, and threads for callers."""
    with BatchingScorer(inner, waiting=50) as batching, ThreadPoolExecutor(8) as threads:
        inner.open.clear()
        first = threads.submit(batching.predict, make("first", 1))
        assert inner.entered.wait(30)
        yield batching, threads
        inner.open.set()
        assert len(first.result(30)) == 1


def make(name: str, n: int) -> list[tuple[str, str]]:
    return [(name, f"passage {i} " + "word " * (i % 5)) for i in range(n)]


def test_alone_it_scores_as_the_scorer_does(inner: Checksums) -> None:
    with BatchingScorer(inner) as batching:
        assert isinstance(batching, Scorer)
        np.testing.assert_array_equal(batching.predict(make("a", 300)), expected(make("a", 300)))
        assert len(batching.predict([])) == 0
        scores = batching.score(make("b", 3))
        assert (scores.by, scores.reason) == ("Checksums", "")


def fated(number: int, n: int, fate: str) -> tuple[list[tuple[str, str]], float | None]:
    """Make a caller's pairs and his deadline."""
    pairs = make(f"caller {number}", n)
    if fate == "fail":
        pairs[n // 2] = (pairs[n // 2][0], "poison")
    return pairs, 1e-4 * number if fate == "late" else None


def check(scores: Scores, pairs: Pairs, fate: str) -> None:
    assert fate != "fail"
    assert scores.complete or fate == "late"
    reached = scores.scored
    np.testing.assert_array_equal(scores.values[:reached], expected(pairs)[:reached])


def call(batching: BatchingScorer, number: int, n: int, fate: str) -> None:
    pairs, deadline = fated(number, n, fate)
    if fate == "fail":
        with pytest.raises(ValueError, match="poisoned"):
            batching.predict(pairs)
    else:
        check(batching.score(pairs, deadline=deadline), pairs, fate)


async def call_and_await(batching: BatchingScorer, number: int, n: int, fate: str) -> None:
    pairs, deadline = fated(number, n, fate)
    task = asyncio.create_task(batching.ascore(pairs, deadline=deadline))
    if fate == "cancel":
        await asyncio.sleep(0)
        task.cancel()
    try:
        check(await task, pairs, fate)
    except asyncio.CancelledError:
        assert fate == "cancel"
    except ValueError:
        assert fate == "fail"


@pytest.mark.parametrize("seed", range(3))
def test_order_and_isolation_under_random_failures_and_cancellations(seed: int) -> None:
    """Sixty callers at once, threads and coroutines; some fail, some give up, some are late."""
    random = np.random.default_rng(seed)
    plans = [
        (
            number,
            int(random.integers(1, 60)),
            str(random.choice(["", "", "fail", "cancel", "late"])),
        )
        for number in range(60)
    ]

    async def all_of(batching: BatchingScorer) -> None:
        await asyncio.gather(*(call_and_await(batching, *plan) for plan in plans[::2]))

    with BatchingScorer(Checksums(), tokens=300) as batching, ThreadPoolExecutor(30) as threads:
        others = [threads.submit(call, batching, *plan) for plan in plans[1::2]]
        asyncio.run(all_of(batching))
        for other in others:
            other.result(30)
        assert batching.stats.waiting_pairs == 0
        np.testing.assert_array_equal(
            batching.predict(make("after", 9)), expected(make("after", 9))
        )


def test_a_failed_batch_fails_only_its_own_callers(inner: Checksums, blocked: Any) -> None:
    batching, threads = blocked
    good = threads.submit(batching.predict, make("good", 4))
    bad = threads.submit(batching.predict, [("bad", "poison")])
    wait_for(lambda: batching.stats.waiting_requests == 2)
    inner.open.set()
    np.testing.assert_array_equal(good.result(30), expected(make("good", 4)))
    with pytest.raises(ValueError, match="poisoned"):
        bad.result(30)
    assert len(inner.batches) == 4  # the first, both together, each alone


def test_even_what_is_no_exception_reaches_the_caller() -> None:
    class Exits:
        def predict(self, pairs: Pairs) -> NDArray[np.float32]:
            raise SystemExit(len(pairs))

    with BatchingScorer(Exits()) as batching, pytest.raises(SystemExit):
        batching.predict(make("a", 2))


def test_a_scorer_of_too_few_scores() -> None:
    class Short:
        def predict(self, pairs: Pairs) -> NDArray[np.float32]:
            return expected(pairs)[1:]

    with BatchingScorer(Short()) as batching, pytest.raises(OutputError):
        batching.predict(make("a", 2))


def test_bad_pairs_are_named_by_the_callers_numbers(inner: Checksums) -> None:
    with BatchingScorer(inner) as batching:
        with pytest.raises(InputError, match="pair 2, document: expected a string"):
            batching.predict([*make("a", 2), ("a", None)])  # type: ignore[list-item]
        with pytest.raises(InputError, match=r"pair 1, document: .* surrogate"):
            batching.predict([("a", "b"), ("a", "\ud800")])
    assert inner.batches == []


def test_a_full_queue_refuses_and_says_when_to_come_again(inner: Checksums, blocked: Any) -> None:
    batching, threads = blocked
    large = threads.submit(batching.predict, make("large", 200))  # nothing waits: it is taken
    wait_for(lambda: batching.stats.waiting_pairs == 200)
    with pytest.raises(OverloadedError, match="200 of at most 50 waiting") as refused:
        batching.predict(make("more", 1))
    assert refused.value.retry_after > 0
    inner.open.set()
    assert len(large.result(30)) == 200
    assert batching.stats.refused == 1
    assert len(batching.predict(make("more", 1))) == 1


def test_an_expired_request_is_dropped_unscored(inner: Checksums, blocked: Any) -> None:
    batching, _ = blocked
    scores = batching.score(make("late", 5), deadline=0.02)
    assert (scores.scored, scores.reason) == (0, "out of time (0.02 s): 0 of 5 scored")
    at_once = batching.score(make("late", 5), deadline=-1)
    assert at_once.scored == 0
    inner.open.set()
    batching.close()
    assert not any(query == "late" for query, _ in inner.seen)


async def test_cancelling_frees_the_work(inner: Checksums, blocked: Any) -> None:
    batching, _ = blocked
    task = asyncio.create_task(batching.apredict(make("cancelled", 5)))
    while batching.stats.waiting_pairs < 5:
        await asyncio.sleep(0.001)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert batching.stats.waiting_pairs == 0
    inner.open.set()
    await asyncio.to_thread(batching.close)
    assert not any(query == "cancelled" for query, _ in inner.seen)


def test_closing_finishes_what_was_accepted(inner: Checksums, blocked: Any) -> None:
    batching, threads = blocked
    accepted = threads.submit(batching.predict, make("accepted", 20))
    wait_for(lambda: batching.stats.waiting_pairs == 20)
    closing = threads.submit(batching.close)
    inner.open.set()
    closing.result(30)
    np.testing.assert_array_equal(accepted.result(30), expected(make("accepted", 20)))
    batching.close()
    with pytest.raises(RerankerError, match="closed"):
        batching.predict(make("a", 1))


def test_a_small_request_does_not_wait_for_a_large_one(inner: Checksums, blocked: Any) -> None:
    batching, threads = blocked
    large = threads.submit(batching.predict, make("large", 10_000))
    wait_for(lambda: batching.stats.waiting_requests == 1)
    with pytest.raises(OverloadedError):
        batching.predict(make("small", 3))
    inner.open.set()
    assert len(large.result(60)) == 10_000
    assert max(map(len, inner.batches)) < 1500  # in slices


@pytest.mark.parametrize("limits", [{"tokens": 0}, {"waiting": 0}, {"wait": -1.0}])
def test_limits_that_are_none(inner: Checksums, limits: Any) -> None:
    with pytest.raises(InputError, match="expected"):
        BatchingScorer(inner, **limits)


def test_batches_are_as_large_as_suits_the_scorer() -> None:
    class Sized(Scorer):
        """Scores with texts' lengths, and keeps how many pairs it got at a time."""

        def __init__(self, budget: int) -> None:
            self.budget, self.sizes = budget, []

        @property
        def token_budget(self) -> int:
            return self.budget

        def score(self, pairs: Pairs, *, deadline: float | None = None) -> Scores:  # noqa: ARG002
            self.sizes.append(len(pairs))
            return Scores(np.array([len(text) for _, text in pairs], dtype=np.float32))

    pairs = [("", "x" * 3996)] * 100  # of some 1,000 tokens each
    for budget, largest in ((100, 4), (65_536, 32)):
        scorer = Sized(budget)
        with BatchingScorer(scorer) as batching:
            assert (batching.predict(pairs) == 3996).all()
        assert max(scorer.sizes) == largest


def test_a_forked_child_begins_anew() -> None:
    program = """
import os, threading, warnings
warnings.simplefilter("ignore")
import numpy as np
from twopass.reranker.scorers.batching import BatchingScorer

class Lengths:
    def predict(self, pairs):
        return np.array([len(text) for _, text in pairs], dtype=np.float32)

batching = BatchingScorer(Lengths())
assert batching.predict([("q", "four")]).tolist() == [4]
threads = [threading.Thread(target=batching.predict, args=([("q", "x")] * 500,)) for _ in range(8)]
for thread in threads: thread.start()
child = os.fork()
if child == 0:
    assert batching.predict([("q", "five!")]).tolist() == [5]
    batching.close()
    os._exit(7)
_, status = os.waitpid(child, 0)
for thread in threads: thread.join()
assert batching.predict([("q", "six")]).tolist() == [3]
print(os.waitstatus_to_exitcode(status))
"""
    assert run_program(program) == "7"


def test_an_unclosed_one_ends_with_the_program_and_loads_nothing_heavy() -> None:
    program = """
import sys
import numpy as np
from twopass.reranker.scorers.batching import BatchingScorer

class Lengths:
    def predict(self, pairs):
        return np.array([len(text) for _, text in pairs], dtype=np.float32)

batching = BatchingScorer(Lengths())
batching.predict([("q", "four")])
print(*sorted({"torch", "transformers", "tokenizers"} & set(sys.modules)), "done")
"""
    assert run_program(program) == "done"


def run_program(program: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
        env={**os.environ, "PYTHONPATH": ""},
    )
    return done.stdout.strip()


def wait_for(condition: Callable[[], bool]) -> None:
    ended = threading.Event()
    for _ in range(3000):
        if condition():
            return
        ended.wait(0.01)
    raise AssertionError("waited for half a minute")


def test_real_scores_for_many_callers(tiny: Callable[..., Path]) -> None:
    model = CrossEncoder(tiny("bert"), device="cpu")
    requests = [
        [(f"people of Germany {n}", f"Berlin, city {i} " + "river " * (i % 7)) for i in range(n)]
        for n in range(1, 25)
    ]
    with BatchingScorer(model, tokens=512) as batching, ThreadPoolExecutor(8) as threads:
        found = list(threads.map(batching.score, requests))
    for scores, pairs in zip(found, requests, strict=True):
        np.testing.assert_allclose(scores.values, model.predict(pairs), atol=1e-5)
        assert scores.truncated is not None
        np.testing.assert_array_equal(scores.truncated, model.logits(pairs).truncated)


SIZES = st.lists(st.lists(st.integers(0, 60), min_size=1, max_size=12), min_size=1, max_size=8)


def requests_of(sizes: list[list[int]]) -> list[Request]:
    return [Request([("", "x" * 4 * n) for n in lengths], NO_DEADLINE) for lengths in sizes]


@settings(max_examples=50, deadline=None)
@given(sizes=SIZES, budget=st.integers(1, 200))
def test_each_pair_is_taken_once_in_order_within_the_budget(
    sizes: list[list[int]], budget: int
) -> None:
    queue, requests = FairQueue(), requests_of(sizes)
    for request in requests:
        queue.add(request)
    reached = dict.fromkeys(requests, 0)
    while parts := queue.take(budget, Pace()):
        assert sum(part.tokens for part in parts) <= budget or sum(map(len, parts)) == 1
        for part in parts:
            assert part.rows.start == reached[part.request]
            reached[part.request] = part.rows.stop
    assert all(reached[request] == len(request.pairs) for request in requests)
    assert len(queue) == queue.pairs == queue.tokens == 0


@settings(max_examples=50, deadline=None)
@given(large=st.integers(200, 2000), small=st.integers(1, 10), taken=st.integers(0, 5))
def test_a_newcomer_is_in_the_next_batch(large: int, small: int, taken: int) -> None:
    queue = FairQueue()
    [first, second] = requests_of([[4] * large, [4] * small])
    queue.add(first)
    for _ in range(taken):
        queue.take(100, Pace())
    queue.add(second)
    parts = {part.request: part for part in queue.take(100, Pace())}
    assert len(parts[second]) == min(small, 10)
    assert len(parts[first]) >= 10


def test_deadlines_keep_batches_short_for_those_that_can_be_served() -> None:
    pace = Pace()
    pace.learn(1, 0.001)
    queue = FairQueue()
    patient, hurried, hopeless = requests_of([[9] * 500, [9] * 500, [500]])
    hurried.deadline, hopeless.deadline = Deadline.after(2.0), Deadline.after(0.3)
    for request in (patient, hurried, hopeless):
        queue.add(request)
    parts = queue.take(100_000, pace)
    assert {part.request for part in parts} == {patient, hurried}
    assert 500 < sum(part.tokens for part in parts) <= 1000
    assert hopeless.answer.result(0).reason == "out of time (0.3 s): 0 of 1 scored"


def test_who_is_late_gets_what_was_scored() -> None:
    queue, pace = FairQueue(), Pace()
    [request] = requests_of([[9] * 10])
    queue.add(request)
    [part] = queue.take(55, pace)
    request.put(part.rows, Scores(np.arange(5, dtype=np.float32), by="model"))
    request.deadline = Deadline.after(-1)
    assert queue.take(55, pace) == []
    scores = request.answer.result(0)
    assert scores.scored == 5
    np.testing.assert_array_equal(scores.values[:5], np.arange(5))
    assert scores.by == "model"


def test_a_chain_that_passes_on_in_the_middle_mixes_no_scores() -> None:
    [request] = requests_of([[9] * 10])
    for start, stop, by in [(0, 3, "gpu"), (3, 8, "cpu"), (8, 10, "cpu")]:
        request.put(slice(start, stop), Scores(np.ones(stop - start, dtype=np.float32), by=by))
    scores = request.answer.result(0)
    assert (scores.by, scores.scored) == ("cpu", 7)
    assert np.isnan(scores.values[:3]).all()
    assert "scored by gpu instead of cpu" in scores.reason


def test_what_a_model_does_not_read_counts_for_nothing(inner: Checksums, blocked: Any) -> None:
    class Short(Wrapper):
        @property
        def max_length(self) -> int:
            return 100

    with BatchingScorer(Short(inner), tokens=1000) as batching, ThreadPoolExecutor(1) as threads:
        found = threads.submit(batching.predict, [("q", "word " * 100_000)] * 10)
        wait_for(lambda: batching.stats.waiting_requests == 0)  # taken whole
        inner.open.set()
        assert len(found.result(30)) == 10
    assert max(map(len, inner.batches)) == 10
