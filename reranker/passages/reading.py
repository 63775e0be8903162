"""How long documents are read, as a value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

from reranker.base import InputError
from reranker.passages.aggregation import Aggregation

__all__ = ["Reading"]


@dataclass(frozen=True)
class Reading:
    """How documents are read that are too long for the model.

    Attributes:
        window: tokens a passage at most; ``None`` for as many as fit beside the query. Short ones
            suit the model that ships better: see ``docs/long-documents.md``.
        overlap: tokens that neighbouring passages share at most.
        max_passages: how many passages of a document are read at most; ``None`` for all.
        aggregation: how their scores become one: ``max``, ``mean`` (of the best ``top``), or
            ``first``, which reads the first passage alone.
        top: see there.

    Raises:
        InputError: when a number is too small or the aggregation unknown.

    """

    window: int | None = 128
    overlap: int = 16
    max_passages: int | None = 4
    aggregation: Aggregation = "max"
    top: int = 2

    def __post_init__(self) -> None:
        least = {"window": 2, "overlap": 0, "max_passages": 1, "top": 1}
        for name, minimum in least.items():
            value = getattr(self, name)
            if value is not None and value < minimum:
                raise InputError(f"expected {name} of at least {minimum}, found {value}")
        if self.window is not None and 2 * self.overlap >= self.window:
            raise InputError(
                f"expected an overlap of less than half of the window's {self.window} tokens, "
                f"found {self.overlap}"
            )
        if self.aggregation not in get_args(Aggregation):
            raise InputError(
                f"expected an aggregation of {', '.join(get_args(Aggregation))}, "
                f"found {self.aggregation!r}"
            )
