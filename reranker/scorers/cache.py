"""A scorer that computes each score once."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as WaitedTooLong
from dataclasses import dataclass, replace
from os import PathLike
from threading import Lock
from typing import NoReturn

import numpy as np

from twopass.reranker.contract.deadlines import Deadline
from twopass.reranker.contract.errors import InputError
from twopass.reranker.contract.inputs import check_pairs, check_unicode
from twopass.reranker.contract.scorer import PairScorer, Scorer, Wrapper
from twopass.reranker.contract.scores import Scores
from twopass.reranker.scorers.cache_entries import (
    DiskStore,
    Entry,
    MemoryStore,
    entries_of,
    keys_of,
    scores_of,
)
from twopass.reranker.threads import reset_in_child

__all__ = ["CacheStats", "CachingScorer"]

_MB = 1_000_000
_Flights = dict[bytes, Future[Entry | None]]


@dataclass(frozen=True, slots=True)
class CacheStats:
    """How often a score was there, counted in distinct pairs a call.

    Attributes:
        memory: found in memory.
        disk: found on disk.
        shared: computed by another call at the same time.
        computed: computed by the scorer.
        entries: how many scores are in memory.
        bytes: about how much memory they take.

    """

    memory: int = 0
    disk: int = 0
    shared: int = 0
    computed: int = 0
    entries: int = 0
    bytes: int = 0

    @property
    def hit_rate(self) -> float:
        """Which share of the scores did not have to be computed; 0 where none was asked for."""
        found = self.memory + self.disk + self.shared
        return found / max(1, found + self.computed)


class CachingScorer(Wrapper):
    """Keeps scores by what they depend on: the scorer's fingerprint, the query, the text.

    Equal pairs that are asked for at the same time are computed once. What got no score, in want
    of time or because scoring failed, is not kept. Safe to use from several threads, in front of a
    ``BatchingScorer`` too; the folder may be shared by several processes.

    Args:
        scorer: what computes scores.
        fingerprint: what the scores depend on; by default the scorer's own.
        megabytes: memory at most.
        folder: where scores are kept beyond the process; None for memory alone.
        folder_megabytes: disk at most.

    Raises:
        InputError: when there is no fingerprint, or a bound is not positive.
        OSError: when the folder cannot be made.

    """

    def __init__(
        self,
        scorer: PairScorer,
        *,
        fingerprint: str | None = None,
        megabytes: float = 64,
        folder: str | PathLike[str] | None = None,
        folder_megabytes: float = 1024,
    ) -> None:
        for name, bound in {"megabytes": megabytes, "folder_megabytes": folder_megabytes}.items():
            if not bound > 0:
                raise InputError(f"expected {name} above 0, found {bound}")
        super().__init__(scorer)
        self._fingerprint = fingerprint or self.inner.fingerprint or _no_fingerprint(self.inner)
        self.reset()
        reset_in_child(self)
        self._memory = MemoryStore(int(megabytes * _MB))
        self._disk = DiskStore(folder, int(folder_megabytes * _MB)) if folder else None
        self._stats = CacheStats()

    def score(self, pairs: Sequence[tuple[str, str]], *, deadline: float | None = None) -> Scores:
        """Return the scores of the pairs, in order, those that are there without computing them.

        Raises:
            InputError: when a pair is not two strings.
            RerankerError: as the scorer raises.

        """
        until = Deadline.after(deadline)
        checked = check_pairs(pairs)
        check_unicode(checked)
        keys = keys_of(self._fingerprint, checked)
        wanted = dict(zip(keys, checked, strict=True))
        found, reason = self._find(wanted, until)
        rows = np.array([row for row, key in enumerate(keys) if key in found], dtype=np.int64)
        scores = scores_of([found[keys[row]] for row in rows])
        if len(rows) == len(keys):
            return scores
        why = reason or until.reason(len(rows), len(keys))
        return Scores.joined(len(keys), [(rows, scores)], why)

    @property
    def fingerprint(self) -> str:
        """What the scores depend on."""
        return self._fingerprint

    @property
    def stats(self) -> CacheStats:
        """How often a score was there until now."""
        with self._lock:
            return replace(self._stats, entries=len(self._memory), bytes=self._memory.bytes)

    def reset(self) -> None:
        """Forget what other threads are computing: in a child process there are none."""
        self._lock = Lock()
        self._flights: _Flights = {}

    def _find(
        self, wanted: dict[bytes, tuple[str, str]], until: Deadline
    ) -> tuple[dict[bytes, Entry], str]:
        """Return the entries that are there, that others compute, and that are computed here.

        And the scorer's reason, where it did not score all.
        """
        found, reason = self._read(list(wanted)), ""
        while len(found) < len(wanted) and not reason:
            mine, theirs = self._claim([key for key in wanted if key not in found], found)
            if mine:
                computed, reason = self._compute({key: wanted[key] for key in mine}, until)
                found |= computed
            awaited = {key: _awaited(flight, until) for key, flight in theirs.items()}
            found |= {key: entry for key, entry in awaited.items() if entry is not None}
            self._count(shared=sum(entry is not None for entry in awaited.values()))
            if until.passed:
                break
        return found, reason

    def _read(self, keys: list[bytes]) -> dict[bytes, Entry]:
        """Return what is in memory, and what is on disk, which then is in memory too."""
        with self._lock:
            read = {key: self._memory.get(key) for key in keys}
        found = {key: entry for key, entry in read.items() if entry is not None}
        self._count(memory=len(found))
        if self._disk is not None and len(found) < len(keys):
            stored = self._disk.get([key for key in keys if key not in found])
            with self._lock:
                for key, entry in stored.items():
                    self._memory.put(key, entry)
            self._count(disk=len(stored))
            found |= stored
        return found

    def _claim(
        self, missing: list[bytes], found: dict[bytes, Entry]
    ) -> tuple[list[bytes], _Flights]:
        """Tell the keys to be computed here from those that another call is computing."""
        mine, theirs = [], {}
        with self._lock:
            for key in missing:
                if (entry := self._memory.get(key)) is not None:  # it has come in meanwhile
                    found[key] = entry
                elif key in self._flights:
                    theirs[key] = self._flights[key]
                else:
                    self._flights[key] = Future()
                    mine.append(key)
        return mine, theirs

    def _compute(
        self, wanted: dict[bytes, tuple[str, str]], until: Deadline
    ) -> tuple[dict[bytes, Entry], str]:
        """Score what was claimed, keep what got a score, and give back the claims in any case."""
        computed: dict[bytes, Entry] = {}
        try:
            scores = self.inner.score(list(wanted.values()), deadline=until.remaining)
            entries = zip(wanted, entries_of(scores), strict=True)
            computed = {key: entry for key, entry in entries if entry is not None}
        finally:
            with self._lock:
                flights = {key: self._flights.pop(key) for key in wanted}
                for key, entry in computed.items():
                    self._memory.put(key, entry)
            for key, flight in flights.items():
                flight.set_result(computed.get(key))
        if self._disk is not None and computed:
            self._disk.put(computed)
        self._count(computed=len(computed))
        return computed, "" if len(computed) == len(wanted) else scores.reason

    def _count(self, **counts: int) -> None:
        with self._lock:
            grown = {name: getattr(self._stats, name) + count for name, count in counts.items()}
            self._stats = replace(self._stats, **grown)


def _no_fingerprint(scorer: Scorer) -> NoReturn:
    raise InputError(
        f"expected a scorer that has a fingerprint, found {scorer.name} without one; "
        "pass fingerprint=, a text that changes whenever its scores could"
    )


def _awaited(flight: Future[Entry | None], until: Deadline) -> Entry | None:
    """Return what another call has computed; None where that failed or time was up."""
    left = until.remaining
    try:
        return flight.result(None if left is None else max(left, 0))
    except WaitedTooLong:
        return None
