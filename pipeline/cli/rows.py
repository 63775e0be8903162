"""A ranking's hits as a person reads them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.cli.snippets import Parts, Snippets, printable

if TYPE_CHECKING:
    from pipeline.ranking import Ranking

__all__ = ["Row", "rows"]


@dataclass(frozen=True, slots=True)
class Row:
    """One hit.

    Attributes:
        rank: its place, from 1.
        before: its place in the first stage's list, from 1.
        scores: the first stage's, the second's, the fused one; "-" where there is none.
        id: the document's id, printable.
        title: its title, printable; may be empty.
        parts: the part of its text that shows best why it was found.

    """

    rank: int
    before: int
    scores: tuple[str, str, str]
    id: str
    title: str
    parts: Parts

    @property
    def moved(self) -> str:
        """How many places it rose or fell."""
        places = self.before - self.rank
        return f"↑{places}" if places > 0 else f"↓{-places}" if places < 0 else "="


def rows(ranking: Ranking, snippets: Snippets) -> Iterator[Row]:
    """Yield the hits, best first."""
    for place, id in enumerate(ranking.ids):
        title, parts = snippets.cut(id, ranking.texts[place], _passage(ranking, place))
        scores = (ranking.retrieval[place], ranking.rerank[place], ranking.fused[place])
        retrieval, rerank, fused = (_number(float(score)) for score in scores)
        yield Row(
            rank=place + 1,
            before=int(ranking.retrieval_ranks[place]),
            scores=(retrieval, rerank, fused),
            id=printable(id),
            title=title,
            parts=parts,
        )


def _passage(ranking: Ranking, place: int) -> str | None:
    """Return the passage of a long document that its score comes from, if it was one of many."""
    span = None if ranking.evidence is None else ranking.evidence[place]
    if span is None or span.passages == 1:
        return None
    return str(ranking.texts[place][span.start : span.end])


def _number(score: float) -> str:
    if math.isnan(score):
        return "-"
    return f"{score:.3f}" if score == 0 or abs(score) >= 1e-3 else f"{score:.1e}"
