"""Damage to the score cache on disk costs time, never a wrong score."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from twopass.reranker import CachingScorer
from twopass.reranker.contract.scores import Scores

FLIPS = 400


class _ByLength:
    fingerprint = "by length"

    def predict(self, pairs: Sequence[tuple[str, str]]) -> np.ndarray:
        return self.score(pairs).whole()

    def score(self, pairs: Sequence[tuple[str, str]], *, deadline: float | None = None) -> Scores:
        del deadline
        return Scores(np.array([len(text) + 0.125 for _, text in pairs], np.float32), "", "length")


def test_flipped_bits_are_misses(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    pairs = [("query", "x" * n) for n in range(200)]
    expected = _ByLength().predict(pairs)
    first = CachingScorer(_ByLength(), folder=tmp_path)
    first.predict(pairs)
    assert first._disk is not None
    first._disk.close()
    file = tmp_path / "scores.sqlite"
    whole, chosen = file.read_bytes(), random.Random(7)
    hits = 0
    for _ in range(FLIPS):
        damaged = bytearray(whole)
        damaged[chosen.randrange(len(damaged))] ^= 1 << chosen.randrange(8)
        for name in (f"{file}-wal", f"{file}-shm"):
            Path(name).unlink(missing_ok=True)
        file.write_bytes(damaged)
        again = CachingScorer(_ByLength(), folder=tmp_path)
        np.testing.assert_array_equal(again.predict(pairs), expected)
        hits += again.stats.disk
        assert again._disk is not None
        again._disk.close()
    assert hits > FLIPS * len(pairs) // 2  # most of what is whole is still used


def test_a_damaged_entry_is_written_again(tmp_path: Path) -> None:
    first = CachingScorer(_ByLength(), folder=tmp_path)
    first.predict([("query", "text")])
    assert first._disk is not None
    first._disk._run("UPDATE scores SET entry = zeroblob(40)", [])
    for found in (0, 1):
        again = CachingScorer(_ByLength(), folder=tmp_path)
        again.predict([("query", "text")])
        assert again.stats.disk == found
