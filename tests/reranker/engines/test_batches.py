"""Every row once, within the budget, and through a memory that is too small."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twopass.reranker.contract.errors import RerankerError
from twopass.reranker.engines.engine import BatchRunner, plan_batches
from twopass.reranker.text.tokens import TokenRows

LENGTHS = st.lists(st.integers(1, 40), max_size=60).map(lambda n: np.array(n, dtype=np.int64))


def rows_of(lengths: np.ndarray) -> TokenRows:
    """Rows whose first token is their number."""
    offsets = np.concatenate(([0], np.cumsum(lengths)))
    ids = np.zeros(offsets[-1], dtype=np.int32)
    ids[offsets[:-1]] = np.arange(len(lengths))
    return TokenRows(ids, np.zeros(len(ids), dtype=np.int8), offsets)


class Memory:
    """An engine with room for so many padded tokens; its logits are each row's number and size."""

    labels = 2
    lanes = devices = 1

    def __init__(self, room: int) -> None:
        self.room = self.token_budget = room
        self.batches: list[tuple[int, int]] = []

    def logits(self, batch: TokenRows) -> np.ndarray:
        size = len(batch) * int(batch.lengths.max())
        self.batches.append((len(batch), size))
        if size > self.room:
            raise MemoryError(f"{size} tokens")
        numbers = batch.ids[batch.offsets[:-1]]
        return np.stack([numbers, batch.lengths], axis=1).astype(np.float32)


@given(lengths=LENGTHS, budget=st.integers(1, 200), max_rows=st.none() | st.integers(1, 10))
def test_plans_every_row_once_within_the_budget(lengths, budget, max_rows):
    batches = plan_batches(lengths, budget, max_rows)
    order = np.concatenate([*batches, np.zeros(0, dtype=np.int64)])
    assert sorted(order) == list(range(len(lengths)))
    assert (np.diff(lengths[order]) <= 0).all()
    for batch in batches:
        assert len(batch) == 1 or len(batch) * lengths[batch].max() <= budget
        assert max_rows is None or len(batch) <= max_rows


def test_batches_are_as_full_as_the_budget_allows():
    batches = plan_batches(np.array([10, 9, 5, 5, 4, 1]), 20)
    assert [batch.tolist() for batch in batches] == [[0, 1], [2, 3, 4, 5]]


@given(lengths=LENGTHS, max_rows=st.none() | st.integers(1, 10))
def test_gives_each_row_its_own_logits(lengths, max_rows):
    engine = Memory(100)
    told: list[int] = []
    logits = BatchRunner(engine).run(rows_of(lengths), max_rows=max_rows, done=told.append)
    np.testing.assert_array_equal(logits[:, 0], np.arange(len(lengths)))
    np.testing.assert_array_equal(logits[:, 1], lengths)
    assert sum(told) == len(lengths)


@given(lengths=LENGTHS, room=st.integers(40, 300))
def test_backs_off_where_memory_is_smaller_than_the_budget(lengths, room):
    engine = Memory(room)
    runner = BatchRunner(engine, token_budget=2000)
    logits = runner.run(rows_of(lengths))
    np.testing.assert_array_equal(logits[:, 0], np.arange(len(lengths)))
    if any(size > room for _, size in engine.batches):
        assert runner.token_budget < 2000


def test_a_lowered_budget_stays_lowered():
    engine = Memory(100)
    runner = BatchRunner(engine, token_budget=800)
    runner.run(rows_of(np.full(80, 10)))
    failed = sum(size > 100 for _, size in engine.batches)
    assert failed == 3  # 800, 400 and 200 tokens, once each
    runner.run(rows_of(np.full(80, 10)))
    assert sum(size > 100 for _, size in engine.batches) == failed


def test_one_row_too_large_is_an_error():
    with pytest.raises(RerankerError, match="room for one pair of 30 tokens"):
        BatchRunner(Memory(20), 1000).run(rows_of(np.array([5, 30])))


@given(lengths=LENGTHS, left=st.booleans(), width=st.integers(0, 50), data=st.data())
def test_takes_and_pads_rows(lengths, left, width, data):
    rows = rows_of(lengths)
    some = np.array(
        data.draw(st.lists(st.sampled_from(range(len(lengths))))) if len(lengths) else [],
        dtype=np.int64,
    )
    taken = rows.take(some)
    np.testing.assert_array_equal(taken.lengths, lengths[some])
    ids, types, mask = taken.padded(7, left=left, width=width)
    expected = (len(some), max(width, lengths[some].max(initial=0)))
    assert ids.shape == types.shape == mask.shape == expected
    for i, row in enumerate(some):
        own = rows.ids[rows.offsets[row] : rows.offsets[row + 1]]
        np.testing.assert_array_equal(ids[i][mask[i] == 1], own)
        assert (ids[i][mask[i] == 0] == 7).all()
        assert (np.diff(mask[i]) >= 0).all() if left else (np.diff(mask[i]) <= 0).all()


@pytest.mark.parametrize(
    ("ids", "types", "offsets"),
    [
        ([1, 2], [0], [0, 2]),
        ([1, 2], [0, 0], []),
        ([1, 2], [0, 0], [0, 1]),
        ([1, 2], [0, 0], [1, 2]),
        ([1, 2], [0, 0], [0, 2, 1, 2]),
    ],
)
def test_rows_that_do_not_fit_together_are_refused(ids, types, offsets):
    with pytest.raises(ValueError, match="expected"):
        TokenRows(
            np.array(ids, dtype=np.int32),
            np.array(types, dtype=np.int8),
            np.array(offsets, dtype=np.int64),
        )
