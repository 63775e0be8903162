"""Why a document has its score: every number that goes into it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from twopass.retriever.analysis import Analyzer
from twopass.retriever.errors import QueryError
from twopass.retriever.index.requests import leaf_idfs
from twopass.retriever.index.snapshot import Snapshot
from twopass.retriever.index.terms import frequencies
from twopass.retriever.query.analyzed import Leaf, Leaves, Phrase, Places
from twopass.retriever.scoring import describe

__all__ = ["Explanation", "LeafExplanation", "explain"]


_MOST_LEAVES = 1_024
_HEAD = ["term or phrase", "boost", "df", "idf", "tf", "impact", "contribution"]


@dataclass(frozen=True, slots=True)
class LeafExplanation:
    """What one term or phrase of a query adds to a document's score.

    Attributes:
        leaf: the term, or the phrase in quotes.
        boost: how often it stands in the query, each time multiplied by its boost.
        df: in how many documents it stands; ``None`` for a phrase, of which that is not known.
        idf: its weight; a phrase's is the sum of its terms'.
        tf: how often it stands in this document.
        impact: what the formula makes of ``tf`` and the document's length.
        contribution: boost * idf * impact.

    """

    leaf: str
    boost: float
    df: int | None
    idf: float
    tf: int
    impact: float
    contribution: float


@dataclass(frozen=True, slots=True)
class Explanation:
    """How one document scores for one query.

    Attributes:
        id: the document's.
        score: what a search gives it; 0 where it does not match.
        mismatch: why the document does not match, or an empty string.
        scoring: the formula and its parameters.
        n_docs: N of the formula.
        length: the document's number of terms.
        average_length: the mean of all documents.
        norm: 1 - b + b * length / average_length.
        leaves: one for each term and phrase that scores, in the query's order, those that the
            document has not included.

    """

    id: str
    score: float
    mismatch: str
    scoring: dict[str, Any]
    n_docs: int
    length: int
    average_length: float
    norm: float
    leaves: tuple[LeafExplanation, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return everything in JSON values."""
        return asdict(self)

    def __str__(self) -> str:
        verdict = (
            f"does not match: {self.mismatch}" if self.mismatch else f"scores {self.score:.6g}"
        )
        name, *parameters = self.scoring.items()
        return "\n".join(
            [
                f"document {self.id!r} {verdict}",
                f"formula: {name[1]}, {', '.join(f'{key} {value}' for key, value in parameters)}",
                f"documents: {self.n_docs} of {self.average_length:.6g} terms on average; "
                f"this one of {self.length}, length norm {self.norm:.6g}",
                *_table([_HEAD, *map(_row, self.leaves)]),
            ]
        )


def explain(snapshot: Snapshot, analyzer: Analyzer, leaves: Leaves, number: int) -> Explanation:
    """Explain the score of the document with this number.

    Args:
        snapshot: where it is.
        analyzer: the index's.
        leaves: the query.
        number: of the document.

    Raises:
        QueryError: when the query has more than 1,024 different terms and phrases.

    """
    if len(leaves.weights) > _MOST_LEAVES:
        raise QueryError(
            f"explain: expected a query of at most {_MOST_LEAVES} different terms and phrases, "
            f"found {len(leaves.weights)}"
        )
    segment, local = snapshot.locate(number)
    length = segment.postings.lengths[local : local + 1]
    tfs = _tfs(snapshot, analyzer, {*leaves.weights, *leaves.excluded}, number)
    idfs = leaf_idfs(snapshot, leaves)
    scoring, average = snapshot.scoring, snapshot.average_length

    def explain_leaf(leaf: Leaf, boost: float) -> LeafExplanation:
        tf, idf = tfs[leaf], idfs[leaf]
        impact = float(scoring.impact(tf, length, average)[0]) if tf else scoring.baseline
        df = snapshot.lexicon.statistics([leaf])[leaf].df if isinstance(leaf, str) else None
        return LeafExplanation(str(leaf), boost, df, idf, tf, impact, boost * idf * impact)

    found = tuple(explain_leaf(leaf, boost) for leaf, boost in leaves.weights.items())
    mismatch = _mismatch(leaves, tfs)
    return Explanation(
        id=snapshot.id(number),
        score=0.0 if mismatch else sum(leaf.contribution for leaf in found),
        mismatch=mismatch,
        scoring=describe(scoring),
        n_docs=snapshot.n_docs,
        length=int(length[0]),
        average_length=average,
        norm=float(scoring.norm(length, average)[0]),
        leaves=found,
    )


def _tfs(
    snapshot: Snapshot, analyzer: Analyzer, leaves: Collection[Leaf], number: int
) -> dict[Leaf, int]:
    """Return how often each leaf stands in a document."""
    segment, local = snapshot.locate(number)
    phrased = any(isinstance(leaf, Phrase) for leaf in leaves)
    places = Places(analyzer.tokens(snapshot.contents(number)) if phrased else [])

    def tf(leaf: Leaf) -> int:
        if isinstance(leaf, Phrase):
            return len(leaf.starts(places))
        term = segment.terms.find(leaf)
        here = np.array([local], np.int32)
        return int(frequencies(segment.postings, term, here)[0]) if term >= 0 else 0

    return {leaf: tf(leaf) for leaf in leaves}


def _mismatch(leaves: Leaves, tfs: Mapping[Leaf, int]) -> str:
    for leaf in leaves.excluded:
        if tfs[leaf]:
            return f"it has {leaf}, which is excluded"
    for leaf in leaves.required:
        if not tfs[leaf]:
            return f"it lacks {leaf}, which is required"
    if not any(tfs[leaf] for leaf in leaves.weights):
        return "it has none of the terms"
    return ""


def _row(leaf: LeafExplanation) -> list[str]:
    df = "-" if leaf.df is None else str(leaf.df)
    numbers = [f"{value:.6g}" for value in (leaf.idf, leaf.tf, leaf.impact, leaf.contribution)]
    return [leaf.leaf, f"{leaf.boost:g}", df, *numbers]


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in rows
    ]
