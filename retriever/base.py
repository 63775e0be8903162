"""What every retriever keeps to: one protocol."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from twopass.retriever.filters import Filter
from twopass.retriever.hits import Hits

__all__ = ["Retriever"]


@runtime_checkable
class Retriever(Protocol):
    """Finds candidates: the first stage."""

    def search(self, queries: Sequence[str], k: int, *, filter: Filter | None = None) -> list[Hits]:
        """Return the best ``k`` documents of each query, one ``Hits`` a query, in order.

        Args:
            queries: (q,) the queries' texts.
            k: how many documents at most, a query; at least 1.
            filter: only documents that match it are considered.

        Raises:
            QueryError: when a query or the filter cannot be understood.

        """
        ...
