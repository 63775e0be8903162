"""Whom the queue accepts, in which order it serves, and what it says to those that it refuses."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from math import inf

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from twopass.reranker.contract import deadlines
from twopass.reranker.contract.deadlines import Deadline, Pace
from twopass.reranker.contract.errors import OverloadedError
from twopass.reranker.contract.scores import Scores
from twopass.reranker.scorers.batching import BatchingScorer, admission
from twopass.reranker.scorers.batching.admission import Admission
from twopass.reranker.scorers.batching.queue import FairQueue, Part, Request

TOKEN = 0.001  # seconds that each takes


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(deadlines, "monotonic", clock)
    monkeypatch.setattr(admission, "monotonic", clock)
    return clock


def known() -> Pace:
    pace = Pace()
    for _ in range(5):
        pace.learn(1000, 1000 * TOKEN)
    return pace


@dataclass
class Server:
    """One scorer behind the queue, on a clock that only work moves; a token takes 1 ms."""

    clock: Clock
    budget: int = 1000
    pace: Pace = field(default_factory=known)

    def __post_init__(self) -> None:
        self.queue = FairQueue()
        self.admission = Admission(self.pace)
        self.running: tuple[float, list[Part]] | None = None
        self.served: list[list[Part]] = []

    def submit(
        self, tokens: int, seconds: float = inf, *, pairs: int = 10, name: str = "", complete: bool
    ) -> Request:
        """Submit a request of equal pairs; refused ones raise as in the worker."""
        each = max(1, tokens // pairs)
        texts = [(name, "x" * (4 * (each - 1) - len(name)))] * pairs
        deadline = Deadline.after(None if seconds == inf else seconds)
        request = Request(texts, deadline, complete=complete)
        busy = None if self.running is None else max(0.0, self.running[0] - self.clock.now)
        self.admission.promise(request, self.queue, busy=busy)
        self.queue.add(request)
        return request

    def begin(self) -> bool:
        """Begin the next batch."""
        parts = self.queue.take(self.budget, self.pace)
        if parts:
            self.served.append(parts)
            assert all(part.request.deadline.left > 0 for part in parts)
            self.running = self.clock.now + TOKEN * sum(part.tokens for part in parts), parts
        return bool(parts)

    def end(self) -> None:
        """End the batch at hand, and give its scores to those whose they are."""
        assert self.running is not None
        self.clock.now, parts = self.running
        self.running = None
        for part in parts:
            if part.request.deadline.passed:
                part.request.expire()
            else:
                values = np.arange(part.rows.start, part.rows.stop, dtype=np.float32)
                part.request.put(part.rows, Scores(values, by="model"))

    def work_until(self, at: float) -> None:
        """Let the time pass, and batches be scored as it does."""
        while self.clock.now < at:
            if not self.running and not self.begin():
                self.clock.now = at
            elif self.running and self.running[0] <= at:
                self.end()
            elif self.running:
                self.clock.now = at

    def finish(self) -> None:
        if self.running:
            self.end()
        while self.begin():
            self.end()


def scores_of(request: Request) -> Scores:
    return request.answer.result(0)


class TestByTime:
    def test_what_cannot_be_done_in_time_is_refused_at_once(self, clock: Clock) -> None:
        server = Server(clock)
        first = server.submit(6000, 10, complete=True)
        server.submit(1500, 10, name="small", complete=True)
        with pytest.raises(OverloadedError, match=r"10 pairs within 10 s") as refused:
            server.submit(6000, 10, name="second", complete=True)
        assert refused.value.retry_after == pytest.approx(5.5, rel=0.05)  # 0.5 s of 8 are left over
        server.finish()
        assert scores_of(first).complete

    def test_who_comes_back_as_told_is_accepted(self, clock: Clock) -> None:
        """Twenty ask at once, of which few fit; each is told a time of its own, and it holds."""
        server = Server(clock)
        waiting: dict[str, float] = {}
        for number in range(20):
            try:
                server.submit(2000, 10, name=f"{number:02}", complete=True)
            except OverloadedError as error:
                waiting[f"{number:02}"] = clock.now + error.retry_after
        assert 10 < len(waiting) < 20
        newcomers = 0
        for name, at in sorted(waiting.items(), key=lambda each: each[1]):
            server.work_until(at)
            try:  # those that were not told to come do not take the room of those that were
                server.submit(2000, 10, name=f"new, before {name}", complete=True)
                newcomers += 1
            except OverloadedError:
                pass
            server.submit(2000, 10, name=name, complete=True)
        assert newcomers < 10
        server.finish()
        requests = {part.request for batch in server.served for part in batch}
        assert all(scores_of(request).complete for request in requests)

    def test_those_that_do_not_come_back_leave_no_gap(self, clock: Clock) -> None:
        server = Server(clock)
        refused = accepted = 0
        for number in range(300):
            try:
                server.submit(2000, 10, name=str(number), complete=True)
                accepted += 1
            except OverloadedError:
                refused += 1
            if number % 3 == 2:
                if not server.running:
                    assert server.begin()  # there is always something to do
                server.end()
        assert refused > accepted
        assert accepted >= 50  # as many as are done in a hundred batches of half a request

    def test_coming_too_early_keeps_the_turn_and_makes_nobody_else_wait(self, clock: Clock) -> None:
        server = Server(clock)
        server.submit(7000, 10, complete=True)
        told = []
        for _ in range(100):
            with pytest.raises(OverloadedError) as refused:
                server.submit(3000, 10, name="hasty", complete=True)
            told.append(refused.value.retry_after)
        assert told[-1] == pytest.approx(told[0])
        with pytest.raises(OverloadedError) as refused:
            server.submit(3000, 10, name="other", complete=True)
        assert refused.value.retry_after == pytest.approx(told[0] + 3, rel=0.05)

    def test_an_unknown_pace_and_an_idle_scorer_refuse_nobody(self, clock: Clock) -> None:
        cold = Server(clock, pace=Pace())
        cold.pace.learn(1, 5.0)  # the first, which loads what is loaded late
        for number in range(5):
            cold.submit(100_000, 1, name=str(number), complete=True)
        Server(clock).submit(100_000, 1, complete=True)

    def test_what_alone_takes_too_long_is_given_up_after_a_batch(self, clock: Clock) -> None:
        server = Server(clock)
        request = server.submit(100_000, 10, pairs=1000, complete=True)
        server.finish()
        assert len(server.served) == 1
        assert "send fewer" in scores_of(request).reason
        assert clock.now < 1002

    def test_a_pace_that_was_wrong_is_found_out(self, clock: Clock) -> None:
        """A machine that stood still refuses and gives up nothing once it has gone on."""
        server = Server(clock)
        server.pace.learn(1, 50.0)
        for number in range(20):
            request = server.submit(1000, 10, name=str(number), complete=True)
            begun = clock.now
            while server.begin():
                tokens = sum(part.tokens for part in server.served[-1])
                server.end()
                server.pace.learn(tokens, max(TOKEN, clock.now - begun))
                begun = clock.now
        assert scores_of(request).complete

    def test_a_partial_request_is_promised_what_fits(self, clock: Clock) -> None:
        server = Server(clock)
        server.submit(5000, 10, complete=True)
        partial = server.submit(6000, 10, pairs=60, complete=False)
        assert partial.promised == 30  # 8 s less 5 s, of 0.1 s a pair
        with pytest.raises(OverloadedError):
            server.submit(6000, 10, pairs=60, name="none fits", complete=False)
        server.finish()
        assert scores_of(partial).scored >= 30


class TestOrder:
    def test_the_earliest_deadline_comes_first(self, clock: Clock) -> None:
        server = Server(clock, budget=2000)
        late = server.submit(3000, 30, name="late", complete=True)
        soon = server.submit(3000, 8, name="soon", complete=True)
        server.finish()
        order = [part.request for batch in server.served for part in batch]
        assert order.index(soon) < order.index(late)
        assert scores_of(soon).complete
        assert scores_of(late).complete

    def test_what_has_begun_is_finished_before_the_next_begins(self, clock: Clock) -> None:
        server = Server(clock)
        requests = [server.submit(2500, 20, name=str(n), complete=True) for n in range(4)]
        server.finish()
        ends = [
            max(n for n, batch in enumerate(server.served) for p in batch if p.request is request)
            for request in requests
        ]
        assert ends == sorted(ends)
        assert ends[0] <= 2  # 2,500 tokens are three batches of 1,000

    def test_a_small_request_waits_for_no_large_one(self, clock: Clock) -> None:
        server = Server(clock)
        server.submit(100_000, pairs=10_000, name="patient", complete=False)
        server.submit(15_000, 30, pairs=150, name="large", complete=True)
        small = server.submit(200, 30, name="small", complete=True)
        assert server.begin()
        assert small in {part.request for part in server.served[0]}

    def test_small_requests_make_no_large_one_late(self, clock: Clock) -> None:
        server = Server(clock)
        large = server.submit(7000, 10, pairs=700, name="large", complete=True)
        for number in range(200):
            with suppress(OverloadedError):
                server.submit(200, 10, name=str(number), complete=True)
            if number % 4 == 3 and (server.running or server.begin()):
                server.end()
        server.finish()
        assert scores_of(large).complete

    def test_those_without_a_deadline_get_a_part_of_each_batch(self, clock: Clock) -> None:
        server = Server(clock)
        patient = server.submit(50_000, pairs=5000, name="patient", complete=False)
        server.submit(15_000, 30, pairs=150, name="timed", complete=True)
        for _ in range(4):
            assert server.begin()
            part = next(part for part in server.served[-1] if part.request is patient)
            assert 200 <= part.tokens <= 300
            server.end()

    def test_what_is_late_is_dropped_uncomputed(self, clock: Clock) -> None:
        server = Server(clock)
        server.submit(3000, 10, name="first", complete=True)
        late = server.submit(1000, 10, name="late", complete=True)
        clock.now += 11  # the machine stood still
        assert not server.begin()
        assert scores_of(late).scored == 0


ARRIVALS = st.lists(
    st.tuples(
        st.integers(0, 1500),  # ms after the one before
        st.integers(10, 4000),  # tokens
        st.sampled_from([1.0, 4.0, 10.0, 30.0]),
        st.booleans(),  # complete
    ),
    min_size=1,
    max_size=60,
)


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(arrivals=ARRIVALS)
def test_whatever_comes_each_is_answered_once_and_promises_are_kept(
    clock: Clock, arrivals: list[tuple[int, int, float, bool]]
) -> None:
    server, accepted, alone, refusals = Server(clock), [], set(), []
    at = clock.now
    for number, (pause, tokens, seconds, complete) in enumerate(arrivals):
        at += pause / 1000
        server.work_until(at)
        idle = not server.running and not len(server.queue)
        try:
            request = server.submit(tokens, seconds, name=str(number), complete=complete)
        except OverloadedError as error:
            refusals.append((idle, error.retry_after))
            continue
        accepted.append(request)
        if idle:
            alone.add(request)  # it is tried, whatever it takes
    server.finish()
    assert all(not idle and 0 < retry_after <= 300 for idle, retry_after in refusals)
    for request in accepted:
        scores = check_prefix(request)
        if request.complete and request not in alone:
            assert scores.complete, scores.reason
    handed: dict[Request, int] = dict.fromkeys(accepted, 0)
    for part in (part for batch in server.served for part in batch):
        assert part.rows.start == handed[part.request]  # each pair once, in order
        handed[part.request] = part.rows.stop


def check_prefix(request: Request) -> Scores:
    """Check that a request was answered, with the right scores up to the pair that was reached."""
    scores = scores_of(request)
    reached = scores.scored
    np.testing.assert_array_equal(scores.values[:reached], np.arange(reached))
    assert np.isnan(scores.values[reached:]).all()
    return scores


class Gate:
    """A scorer that waits where it is told to, and keeps what it was asked for."""

    def __init__(self) -> None:
        self.open, self.entered = threading.Event(), threading.Event()
        self.open.set()
        self.seen: set[str] = set()

    def predict(self, pairs: Sequence[tuple[str, str]]) -> NDArray[np.float32]:
        self.seen |= {query for query, _ in pairs}
        self.entered.set()
        assert self.open.wait(30)
        return np.zeros(len(pairs), dtype=np.float32)


@pytest.fixture
def busy() -> Iterator[tuple[BatchingScorer, Gate]]:
    """Give a batching scorer of a known pace, 10 ms a token, that has a first batch to do."""
    gate = Gate()
    with BatchingScorer(gate) as batching, ThreadPoolExecutor(1) as threads:
        for _ in range(5):
            batching._worker._pace.learn(1, 0.01)
        gate.open.clear()
        first = threads.submit(batching.predict, [("first", "x" * 399)] * 10)
        assert gate.entered.wait(30)
        yield batching, gate
        gate.open.set()
        assert len(first.result(30)) == 10


class TestTheScorer:
    def test_a_complete_request_is_refused_and_never_computed(
        self, busy: tuple[BatchingScorer, Gate]
    ) -> None:
        batching, gate = busy
        with pytest.raises(OverloadedError) as refused:
            batching.score([("refused", "x" * 399)] * 10, deadline=5, complete=True)
        assert 5 < refused.value.retry_after < 30
        assert batching.stats.refused == 1
        assert batching.stats.waiting_requests == 0
        gate.open.set()
        batching.close()
        assert "refused" not in gate.seen

    def test_another_is_answered_at_once_with_nothing(
        self, busy: tuple[BatchingScorer, Gate]
    ) -> None:
        batching, _ = busy
        scores = batching.score([("search", "x" * 399)] * 10, deadline=5)
        assert scores.scored == 0
        assert "too much to do" in scores.reason

    async def test_a_coroutine_is_refused_as_well(self, busy: tuple[BatchingScorer, Gate]) -> None:
        batching, _ = busy
        with pytest.raises(OverloadedError):
            await batching.ascore([("refused", "x" * 399)] * 10, deadline=5, complete=True)

    def test_without_a_deadline_all_are_accepted(self, busy: tuple[BatchingScorer, Gate]) -> None:
        batching, gate = busy
        with ThreadPoolExecutor(4) as threads:
            found = [threads.submit(batching.predict, [(str(n), "x" * 999)] * 20) for n in range(4)]
            gate.open.set()
            assert [len(each.result(30)) for each in found] == [20] * 4
