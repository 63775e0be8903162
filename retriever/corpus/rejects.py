"""What happens with a record that cannot be read: stop there, or skip and report it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from retriever.base import CorpusError

__all__ = ["OnError", "Reject", "SkipReport", "stop"]

OnError: TypeAlias = Literal["stop", "skip"]

Reject: TypeAlias = Callable[[CorpusError], None]
"""Takes the error of one record; what it does not raise is skipped."""


def stop(error: CorpusError) -> None:
    """Raise the error: the first bad record ends the reading."""
    raise error


@dataclass(slots=True)
class SkipReport:
    """Counts the records that were skipped and keeps the first cases.

    Attributes:
        keep: how many cases are kept.
        count: how many records were skipped.
        cases: (at most ``keep``) what was wrong with the first of them, with file and line.

    """

    keep: int = 10
    count: int = 0
    cases: list[str] = field(default_factory=list)

    def add(self, error: CorpusError) -> None:
        """Count one skipped record."""
        self.count += 1
        if len(self.cases) < self.keep:
            self.cases.append(str(error))
