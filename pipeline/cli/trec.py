"""A ranking as lines of a TREC run: query id, Q0, document id, rank, score, tag."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, TextIO

from pipeline.errors import SearchError

if TYPE_CHECKING:
    from pipeline.ranking import Ranking

__all__ = ["write_run"]


def write_run(out: TextIO, query_id: str, ranking: Ranking, tag: str) -> None:
    """Write one query's lines.

    Tools sort a run by its scores, so that a document without a fused score, which stands below
    all others, gets one that says so.

    Raises:
        SearchError: when an id has white space, which the format cannot hold.

    """
    _check("query id", query_id)
    floor = math.inf
    for rank, (id, fused) in enumerate(zip(ranking.ids, ranking.fused, strict=True), 1):
        _check("document id", id)
        floor = min(floor, 0.0) - 1.0 if math.isnan(fused) else float(fused)
        out.write(f"{query_id} Q0 {id} {rank} {floor:.9g} {tag}\n")


def _check(what: str, value: str) -> None:
    if len(value.split()) != 1:
        raise SearchError(
            f"{what} {value!r:.80} has white space, which a TREC run cannot hold: use --json"
        )
