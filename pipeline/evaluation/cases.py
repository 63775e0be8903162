"""The queries on which a system gains and loses most against another."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from twopass.pipeline.errors import EvaluationError
from twopass.pipeline.evaluation.measures import Qrels
from twopass.pipeline.evaluation.results import Evaluation
from twopass.pipeline.evaluation.runs import Run

__all__ = ["Case", "Move", "cases"]


@dataclass(frozen=True, slots=True)
class Move:
    """The ranks of a relevant document in two runs.

    Attributes:
        id: of the document.
        before: its rank in the first run, from 1; ``None`` if it is not in it.
        after: its rank in the second.

    """

    id: str
    before: int | None
    after: int | None


@dataclass(frozen=True, slots=True)
class Case:
    """One query in two systems.

    Attributes:
        query: its id.
        before: the measure's value of the baseline.
        after: of the system.
        moves: the relevant documents, the best ranked in either run first.
        top: the system's first document, relevant or not; empty if it found none.

    """

    query: str
    before: float
    after: float
    moves: tuple[Move, ...]
    top: str

    @property
    def difference(self) -> float:
        """How much better the system is."""
        return self.after - self.before


def cases(
    evaluation: Evaluation,
    system: str,
    qrels: Qrels,
    *,
    measure: str | None = None,
    baseline: str | None = None,
    most: int = 5,
) -> tuple[list[Case], list[Case]]:
    """Return the queries on which a system gains most, and those on which it loses most.

    Args:
        evaluation: what was measured.
        system: the system.
        qrels: the judgements.
        measure: by which; the evaluation's first by default.
        baseline: against which; the evaluation's first by default.
        most: how many of each at most; queries without a difference are none.

    Raises:
        EvaluationError: when there is no such system or measure.

    """
    measure = evaluation.measures[0] if measure is None else measure
    if measure not in evaluation.measures:
        raise EvaluationError(
            f"unknown measure {measure!r}: expected one of {', '.join(evaluation.measures)}"
        )
    row, against = evaluation.measures.index(measure), baseline or evaluation.baseline
    before, after = evaluation.values(against)[row], evaluation.values(system)[row]
    order = np.argsort(after - before, kind="stable")
    runs = evaluation.systems[against].run, evaluation.systems[system].run

    def case(place: int) -> Case:
        query = evaluation.queries[place]
        top = runs[1][query].ids[:1] if query in runs[1] else ()
        values = float(before[place]), float(after[place])
        return Case(query, *values, _moves(query, qrels, *runs), *(top if len(top) else [""]))

    won = [case(place) for place in order[::-1][:most] if after[place] > before[place]]
    lost = [case(place) for place in order[:most] if after[place] < before[place]]
    return won, lost


def _moves(query: str, qrels: Qrels, before: Run, after: Run) -> tuple[Move, ...]:
    ranks = [_ranks(run, query) for run in (before, after)]
    moves = [
        Move(id, ranks[0].get(id), ranks[1].get(id))
        for id, grade in qrels[query].items()
        if grade > 0
    ]
    return tuple(sorted(moves, key=lambda move: min(move.before or np.inf, move.after or np.inf)))


def _ranks(run: Run, query: str) -> dict[str, int]:
    return {id: rank for rank, id in enumerate(run[query].ids, 1)} if query in run else {}
