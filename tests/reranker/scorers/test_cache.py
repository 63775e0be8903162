"""Scores that are computed once: in memory, on disk, by one of several callers at once."""

from __future__ import annotations

import shutil
import threading
import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twopass.reranker import CachingScorer, CrossEncoder
from twopass.reranker.contract.errors import InputError
from twopass.reranker.contract.scorer import Scorer
from twopass.reranker.contract.scores import Scores, Span
from twopass.reranker.scorers.cache_entries import (
    DiskStore,
    Entry,
    _checksum,
    entries_of,
    keys_of,
    scores_of,
)

Pairs = Sequence[tuple[str, str]]


def expected(pairs: Pairs) -> Any:
    return np.array([zlib.crc32("\0".join(pair).encode()) % 9973 for pair in pairs], np.float32)


class Counting(Scorer):
    """Scores by checksum, remembers what it computed, and stops or fails where it is told to."""

    fingerprint = "counting 1"  # type: ignore[assignment]

    def __init__(self, reaches: int = 10**9) -> None:
        self.computed: list[tuple[str, str]] = []
        self.reaches = reaches
        self.error: Exception | None = None
        self.open = threading.Event()
        self.open.set()
        self.entered = threading.Event()

    def score(self, pairs: Pairs, *, deadline: float | None = None) -> Scores:
        self.deadline = deadline
        self.entered.set()
        assert self.open.wait(30)
        if self.error is not None:
            raise self.error
        self.computed += pairs[: self.reaches]
        values = expected(pairs)
        values[self.reaches :] = np.nan
        return Scores(values, "reached no more" if np.isnan(values).any() else "", "counting")


def make(n: int, query: str = "q") -> list[tuple[str, str]]:
    return [(query, f"text {i}") for i in range(n)]


PAIR = st.tuples(st.sampled_from(["a", "b"]), st.sampled_from(["", "a", "b", "ab", "\0", "ü"]))


@settings(max_examples=40, deadline=None)
@given(calls=st.lists(st.lists(PAIR, max_size=12), max_size=6))
def test_the_same_scores_as_without_and_each_computed_once(calls: list[list[Any]]) -> None:
    inner = Counting()
    cached = CachingScorer(inner)
    for pairs in calls:
        np.testing.assert_array_equal(cached.predict(pairs), expected(pairs))
    assert len(inner.computed) == len(set(inner.computed))
    assert set(inner.computed) == {pair for pairs in calls for pair in pairs}
    stats = cached.stats
    assert stats.computed == stats.entries == len(inner.computed)
    assert stats.memory == sum(len(set(pairs)) for pairs in calls) - stats.computed
    assert 0 <= stats.hit_rate < 1


def test_keys_tell_texts_and_scorers_apart() -> None:
    pairs = [("a", "bc"), ("ab", "c"), ("", "abc"), ("a\0", "b"), ("a", "\0b"), ("a", "\ud800")]
    keys = [*keys_of("one", pairs), *keys_of("two", pairs)]
    assert len(set(keys)) == 12
    assert keys_of("one", pairs) == keys[:6]


def test_memory_is_bounded_and_the_oldest_go_first() -> None:
    inner = Counting()
    cached = CachingScorer(inner, megabytes=0.01)
    for start in range(0, 300, 10):
        cached.predict(make(300)[start : start + 10])
        cached.predict(make(2))  # in use all the time
    assert 0 < cached.stats.bytes <= 10_000
    assert cached.stats.entries < 40
    assert inner.computed.count(("q", "text 0")) == 1


def test_what_got_no_score_is_not_kept() -> None:
    inner = Counting(reaches=3)
    cached = CachingScorer(inner)
    partial = cached.score(make(5), deadline=5)
    assert (partial.scored, partial.reason) == (3, "reached no more")
    inner.error = RuntimeError("broken")
    with pytest.raises(RuntimeError, match="broken"):
        cached.predict(make(5))
    inner.error, inner.reaches = None, 10
    np.testing.assert_array_equal(cached.predict(make(5)), expected(make(5)))
    assert inner.computed == make(5)
    late = cached.score([*make(2), ("q", "new")], deadline=-1)
    np.testing.assert_array_equal(late.values[:2], expected(make(2)))


def test_equal_requests_at_once_are_computed_once() -> None:
    inner = Counting()
    cached = CachingScorer(inner)
    inner.open.clear()
    with ThreadPoolExecutor(8) as threads:
        first = threads.submit(cached.predict, make(10))
        assert inner.entered.wait(30)
        others = [threads.submit(cached.predict, make(10)) for _ in range(5)]
        impatient = cached.score(make(10), deadline=0.02)
        assert (impatient.scored, impatient.reason) == (0, "out of time (0.02 s): 0 of 10 scored")
        inner.open.set()
        for each in [first, *others]:
            np.testing.assert_array_equal(each.result(30), expected(make(10)))
    assert inner.computed == make(10)
    assert cached.stats.computed == 10
    assert cached.stats.shared + cached.stats.memory == 50


def test_who_waited_for_one_that_failed_computes_himself() -> None:
    inner = Counting()
    cached = CachingScorer(inner)
    inner.open.clear()
    inner.error = RuntimeError("broken")
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(cached.predict, make(4))
        assert inner.entered.wait(30)
        inner.entered.clear()
        second = threads.submit(cached.predict, make(4))
        inner.open.set()
        with pytest.raises(RuntimeError):
            first.result(30)
        with pytest.raises(RuntimeError):
            second.result(30)
    inner.error = None
    np.testing.assert_array_equal(cached.predict(make(4)), expected(make(4)))


def test_many_threads_at_random() -> None:
    inner = Counting()
    cached = CachingScorer(inner, megabytes=0.02)
    random = np.random.default_rng(0)
    requests = [
        [("q", f"text {i}") for i in random.integers(0, 100, random.integers(0, 40))]
        for _ in range(200)
    ]
    with ThreadPoolExecutor(8) as threads:
        for pairs, found in zip(requests, threads.map(cached.predict, requests), strict=True):
            np.testing.assert_array_equal(found, expected(pairs))


FULL = Scores(
    np.float32([0.1, 2]),
    by="model",
    columns={"cheap": np.float32([np.nan, 3.3])},
    evidence=np.array([Span(1, 5, 2, 2), None], dtype=object),
    truncated=np.array([True, False]),
    probabilities=np.float32([0.25, 0.9]),
)


def test_all_that_a_scorer_says_is_kept() -> None:
    entries = [Entry.from_bytes(b"k", entry.to_bytes(b"k")) for entry in entries_of(FULL) if entry]
    found = scores_of([entry for entry in entries if entry])
    np.testing.assert_array_equal(found.values, FULL.values)
    np.testing.assert_array_equal(found.columns["cheap"], FULL.columns["cheap"])
    assert found.evidence is not None
    assert found.evidence.tolist() == [Span(1, 5, 2, 2), None]
    assert found.truncated is not None
    assert found.truncated.tolist() == [True, False]
    assert found.probabilities is not None
    np.testing.assert_array_equal(found.probabilities, FULL.probabilities)
    assert found.by == "model"


@pytest.mark.parametrize(
    "data", [b"", b"{}", b"[1]", b'["x","",{},null,null,null]', b"[NaN,1,{},0,0,0]"]
)
def test_an_entry_that_is_none(data: bytes) -> None:
    assert Entry.from_bytes(b"k", data) is None
    assert Entry.from_bytes(b"k", _checksum(b"k", data) + data) is None


def test_an_entry_is_of_its_key() -> None:
    entry = entries_of(FULL)[1]
    assert entry is not None
    assert Entry.from_bytes(b"k", entry.to_bytes(b"k")) == entry
    assert Entry.from_bytes(b"another", entry.to_bytes(b"k")) is None


def test_a_folder_outlives_the_scorer(tmp_path: Path) -> None:
    CachingScorer(Counting(), folder=tmp_path / "new").predict(make(700))
    inner = Counting()
    again = CachingScorer(inner, folder=tmp_path / "new")
    np.testing.assert_array_equal(again.predict(make(700)), expected(make(700)))
    assert inner.computed == []
    assert (again.stats.disk, again.stats.hit_rate) == (700, 1.0)
    other = CachingScorer(inner, fingerprint="another model", folder=tmp_path / "new")
    other.predict(make(3))
    assert inner.computed == make(3)


def test_a_folder_is_bounded_and_the_first_written_go_first(tmp_path: Path) -> None:
    store = DiskStore(tmp_path, 150 * 100)
    entry = entries_of(FULL)[0]
    assert entry is not None
    for number in range(300):
        store.put({b"%03d" % number: entry})
    assert len(store) == 100
    assert set(store.get([b"100", b"200", b"299"])) == {b"200", b"299"}


@pytest.mark.parametrize("damage", ["noise", "cut", "folder"])
def test_a_damaged_file_costs_scores_and_no_search(
    tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    first = CachingScorer(Counting(), folder=tmp_path)
    first.predict(make(400))
    assert first._disk is not None
    first._disk.close()
    file = tmp_path / "scores.sqlite"
    if damage == "noise":
        file.write_bytes(b"\x17" * 20_000)
    elif damage == "cut":
        file.write_bytes(file.read_bytes()[:5000])
    else:
        file.unlink()
        shutil.rmtree(tmp_path)
    inner = Counting()
    again = first if damage == "folder" else CachingScorer(inner, folder=tmp_path)
    np.testing.assert_array_equal(again.predict(make(500)), expected(make(500)))
    assert "score cache" in caplog.text
    if damage != "folder":
        third = CachingScorer(Counting(), folder=tmp_path)
        np.testing.assert_array_equal(third.predict(make(500)), expected(make(500)))


def test_two_that_write_one_folder_at_once(tmp_path: Path) -> None:
    scorers = [CachingScorer(Counting(), folder=tmp_path) for _ in range(3)]
    with ThreadPoolExecutor(3) as threads:
        for _ in threads.map(lambda scorer: [scorer.predict(make(n)) for n in range(40)], scorers):
            pass
    inner = Counting()
    CachingScorer(inner, folder=tmp_path).predict(make(39))
    assert inner.computed == []


@pytest.mark.parametrize("bounds", [{"megabytes": 0}, {"folder_megabytes": -1}])
def test_bounds_that_are_none(bounds: Any) -> None:
    with pytest.raises(InputError, match=r"expected .*megabytes above 0"):
        CachingScorer(Counting(), **bounds)


def test_a_scorer_without_a_fingerprint() -> None:
    class Plain:
        def predict(self, pairs: Pairs) -> Any:
            return expected(pairs)

    with pytest.raises(InputError, match="found Plain without one; pass fingerprint="):
        CachingScorer(Plain())
    assert CachingScorer(Plain(), fingerprint="plain 1").predict(make(2)).shape == (2,)


def test_a_models_fingerprint(tiny: Callable[..., Path], tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny("bert"), folder)

    def fingerprint(**options: Any) -> str:
        return CrossEncoder(folder, device="cpu", **options).fingerprint

    first = fingerprint()
    assert first == fingerprint()
    assert first == CrossEncoder(tiny("bert"), device="cpu").fingerprint
    import torch

    others = [
        fingerprint(max_length=32),
        fingerprint(precision="bf16"),
        fingerprint(activation_fn=torch.tanh),
        fingerprint(activation_fn=lambda x: x),
        fingerprint(activation_fn=lambda x: x),
    ]
    weights = folder / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    others.append(fingerprint())
    assert len({first, *others}) == 7


def test_a_real_model(tiny: Callable[..., Path]) -> None:
    model = CrossEncoder(tiny("bert"), device="cpu")
    cached = CachingScorer(model)
    pairs = [("capital of Germany", f"Berlin has {n} rivers") for n in range(20)]
    np.testing.assert_array_equal(cached.predict(pairs), model.predict(pairs))
    np.testing.assert_array_equal(cached.predict(pairs), model.predict(pairs))
    assert cached.stats.hit_rate == 0.5
