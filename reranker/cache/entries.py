"""What is kept of a pair: its score, and what came with it."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import astuple
from typing import NamedTuple

import numpy as np

from reranker.scores import Scores, Span

__all__ = ["Entry", "entries_of", "keys_of", "scores_of"]

_BASE, _SPAN, _COLUMN = 320, 160, 160  # bytes in memory, measured on CPython 3.11


class Entry(NamedTuple):
    """One pair's part of ``Scores``.

    Attributes:
        value: its score.
        by: which scorer gave it.
        columns: further opinions by name; NaN is none.
        span: the evidence.
        truncated: whether a text was cut; None where the scorer does not say.
        probability: of its relevance; None where the scorer is not calibrated.

    """

    value: float
    by: str
    columns: Mapping[str, float]
    span: Span | None
    truncated: bool | None
    probability: float | None

    @property
    def size(self) -> int:
        """About how many bytes it takes in memory, with its key."""
        return _BASE + _SPAN * (self.span is not None) + _COLUMN * len(self.columns)

    def to_bytes(self) -> bytes:
        """Return it as JSON, in which a float32 stays what it is."""
        columns = {name: None if math.isnan(x) else x for name, x in self.columns.items()}
        span = None if self.span is None else astuple(self.span)
        rest = (self.truncated, self.probability)
        return json.dumps([self.value, self.by, columns, span, *rest]).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Entry | None:
        """Read what ``to_bytes`` wrote; None where it is something else."""
        try:
            value, by, columns, span, truncated, probability = json.loads(data)
            columns = {name: math.nan if x is None else float(x) for name, x in columns.items()}
            place = span and Span(*span)
            found = cls(float(value), str(by), columns, place, truncated, probability)
        except (ValueError, TypeError, AttributeError):
            return None
        return found if math.isfinite(found.value) else None


def keys_of(fingerprint: str, pairs: Sequence[tuple[str, str]]) -> list[bytes]:
    """Return a key of 16 bytes for each pair: equal for equal pairs of equal scorers alone."""
    bases: dict[str, hashlib.blake2b] = {}
    keys = []
    for query, text in pairs:
        if query not in bases:
            words = query.encode("utf-8", "surrogatepass")
            base = hashlib.blake2b(f"{fingerprint}\0{len(words)}\0".encode(), digest_size=16)
            base.update(words)
            bases[query] = base
        digest = bases[query].copy()
        digest.update(text.encode("utf-8", "surrogatepass"))
        keys.append(digest.digest())
    return keys


def entries_of(scores: Scores) -> list[Entry | None]:
    """Return the entry of each pair; None for those without a score."""
    entries: list[Entry | None] = []
    for i, value in enumerate(scores.values.tolist()):
        columns = {name: float(column[i]) for name, column in scores.columns.items()}
        span = None if scores.evidence is None else scores.evidence[i]
        truncated = None if scores.truncated is None else bool(scores.truncated[i])
        likely = None if scores.probabilities is None else float(scores.probabilities[i])
        entry = Entry(value, scores.by, columns, span, truncated, likely)
        entries.append(None if math.isnan(value) else entry)
    return entries


def scores_of(entries: Sequence[Entry]) -> Scores:
    """Return entries as scores; by whom, says the first."""
    n = len(entries)
    names = dict.fromkeys(name for entry in entries for name in entry.columns)
    evidence, truncated, likely = np.full(n, None, dtype=object), None, None
    evidence[:] = [entry.span for entry in entries]
    if any(entry.truncated is not None for entry in entries):
        truncated = np.array([bool(entry.truncated) for entry in entries], dtype=np.bool_)
    if any(entry.probability is not None for entry in entries):
        found = [np.nan if entry.probability is None else entry.probability for entry in entries]
        likely = np.array(found, dtype=np.float32)
    return Scores(
        values=np.array([entry.value for entry in entries], dtype=np.float32),
        by=entries[0].by if entries else "",
        columns={
            name: np.array([entry.columns.get(name, np.nan) for entry in entries], np.float32)
            for name in names
        },
        evidence=evidence if any(entry.span is not None for entry in entries) else None,
        truncated=truncated,
        probabilities=likely,
    )
