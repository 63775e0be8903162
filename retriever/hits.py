"""What a retriever returns for one query: aligned columns, best first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

__all__ = ["Hits"]


@dataclass(frozen=True, slots=True, eq=False)
class Hits:
    """The documents found for one query, best first; may be empty.

    Attributes:
        ids: (n,) object, unique ``str``: the documents' ids.
        scores: (n,) float32, finite and non-increasing: the retriever's scores.
        texts: (n,) object, ``str``: what a second stage reads of each document.
        warnings: what may be missing and why, for people: a shard that did not answer.

    Raises:
        ValueError: when the columns do not fit together or break the promises above.

    """

    ids: NDArray[np.object_]
    scores: NDArray[np.float32]
    texts: NDArray[np.object_]
    warnings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        n = len(self.ids)
        if self.ids.shape != (n,) or self.scores.shape != (n,) or self.texts.shape != (n,):
            raise ValueError(
                "expected three columns of one length, found shapes "
                f"ids {self.ids.shape}, scores {self.scores.shape}, texts {self.texts.shape}"
            )
        if self.scores.dtype != np.float32:
            raise ValueError(f"expected scores of dtype float32, found {self.scores.dtype}")
        # What has no NaN and does not rise is finite if its ends are.
        falling = n < 2 or bool((self.scores[1:] <= self.scores[:-1]).all())
        if not np.isfinite(self.scores[[0, -1]] if n and falling else self.scores).all():
            raise ValueError("expected finite scores, found NaN or infinity")
        if not falling:
            raise ValueError("expected scores in non-increasing order")
        if len(set(self.ids.tolist())) != n:
            raise ValueError("expected unique ids, found one twice")

    @classmethod
    def of(
        cls,
        ids: Sequence[str],
        scores: Any,
        texts: Sequence[str],
        warnings: Sequence[str] = (),
    ) -> Self:
        """Build hits from plain sequences of one length, best first."""
        columns = _objects(ids), np.asarray(scores, dtype=np.float32), _objects(texts)
        return cls(*columns, tuple(warnings))

    @classmethod
    def empty(cls) -> Self:
        """No hits."""
        return cls.of([], [], [])

    def __len__(self) -> int:
        return len(self.ids)


def _objects(values: Sequence[str]) -> NDArray[np.object_]:
    column = np.empty(len(values), dtype=object)
    column[:] = values
    return column
