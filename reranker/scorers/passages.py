"""Documents of any length, read passage by passage.

The settings, the scorer, and how passages' scores become one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from twopass.reranker.contract.errors import InputError
from twopass.reranker.contract.inputs import check_pairs
from twopass.reranker.contract.scorer import PairScorer, Wrapper, derived_fingerprint
from twopass.reranker.contract.scores import Scores, Span
from twopass.reranker.scorers.passage_windows import Windows, best_passages
from twopass.reranker.text.tokens import TokenizedText

if TYPE_CHECKING:
    from twopass.reranker.text.encoding import PairEncoder

__all__ = [
    "Aggregation",
    "PassageScorer",
    "Reading",
    "aggregate",
]


Aggregation: TypeAlias = Literal["max", "mean", "first"]
"""``max``: the best passage's score (MaxP); ``mean``: the mean of the best few; ``first``: the
first passage's, whatever follows (FirstP). Dai and Callan 2019, "Deeper Text Understanding for IR
with Contextual Neural Language Modeling", have the first and the last."""


def aggregate(scores: NDArray[np.float32], how: Aggregation, top: int) -> np.float32:
    """Return the document's score; NaN where no passage has one.

    Args:
        scores: (p,) float32, the passages'; NaN where one was not scored.
        how: by which rule.
        top: of how many of the best scores ``mean`` is the mean; fewer where there are fewer.

    """
    known = scores[~np.isnan(scores)]
    if len(known) == 0:
        return np.float32(np.nan)
    if how == "mean":
        return np.float32(np.sort(known)[-top:].mean())
    return np.float32(known.max())


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


@dataclass(frozen=True, slots=True, eq=False)
class _Plan:
    """What is to be read of a document for a query.

    Attributes:
        borders: (p, 2) int64: first and last character of each of the document's passages.
        chosen: (m,) int64: which of them are read, the most promising first.

    """

    borders: NDArray[np.int64]
    chosen: NDArray[np.int64]

    def texts(self, document: str) -> list[str]:
        """Return the passages to be read; a document that fits is read as it is."""
        if len(self.borders) == 1:
            return [document]
        return [document[start:end] for start, end in self.borders[self.chosen]]


class PassageScorer(Wrapper):
    """Scores long documents by their passages, and says which one it was.

    A document that fits into the model beside its query is scored as ever. A longer one is cut
    into passages; BM25 among them chooses which are read; their scores become the document's. Its
    evidence names the passage with the best score. The query is never cut for it.

    Args:
        scorer: what scores a passage.
        encoder: how its model reads: ``CrossEncoder.encoder``.
        reading: how long documents are read.

    """

    def __init__(
        self, scorer: PairScorer, encoder: PairEncoder, reading: Reading | None = None
    ) -> None:
        super().__init__(scorer)
        self._encoder = encoder
        self._reading = Reading() if reading is None else reading

    @property
    def fingerprint(self) -> str | None:
        """The scorer's, changed by how documents are read."""
        return derived_fingerprint(self.inner.fingerprint, self._reading)

    def score(self, pairs: Sequence[tuple[str, str]], *, deadline: float | None = None) -> Scores:
        """Return the score of each pair, with the passage that it comes from.

        ``truncated`` tells of which documents something was left unread: a passage beyond the
        budget or the deadline, or a part that the model had no room for.

        Args:
            pairs: (n,) of a query and a document each, the most promising first.
            deadline: seconds from now.

        Raises:
            InputError: when a pair is not two strings.
            QueryTooLongError: when a query leaves no room for a document.

        """
        checked = check_pairs(pairs)
        plans = self._plans(checked)
        texts = [plan.texts(document) for plan, (_, document) in zip(plans, checked, strict=True)]
        passages = [
            (query, text) for (query, _), own in zip(checked, texts, strict=True) for text in own
        ]
        ends = np.cumsum([0, *(len(own) for own in texts)])
        found = self.inner.score(passages, deadline=deadline)
        parts = [found.take(slice(a, b)) for a, b in pairwise(ends)]
        return self._joined(plans, parts, found)

    def _plans(self, pairs: Sequence[tuple[str, str]]) -> list[_Plan]:
        """Decide what is read of each document, the same for equal pairs."""
        tokens = self._tokens({text for pair in pairs for text in pair})
        made: dict[tuple[str, str], _Plan] = {}
        for pair in pairs:
            if pair not in made:
                query, document = pair
                made[pair] = self._plan(tokens[query], document, tokens[document])
        return [made[pair] for pair in pairs]

    def _tokens(self, texts: set[str]) -> dict[str, TokenizedText]:
        listed = list(texts)
        return dict(zip(listed, self._encoder.tokenized(listed), strict=True))

    def _plan(self, query: TokenizedText, document: str, tokens: TokenizedText) -> _Plan:
        asked = len(query)
        if self._encoder.max_query_length is not None:
            asked = min(asked, self._encoder.max_query_length)
        room = self._encoder.room - asked
        if len(tokens) <= max(room, 1):  # the scorer itself refuses a query that leaves no room
            return _Plan(np.array([[0, len(document)]]), np.array([0]))
        windows = self._windows(room).cut(document, tokens)
        borders = np.stack([tokens.starts[windows[:, 0]], tokens.ends[windows[:, 1] - 1]], axis=1)
        if self._reading.aggregation == "first":
            return _Plan(borders, np.array([0]))
        budget = self._reading.max_passages
        return _Plan(borders, best_passages(query.ids, tokens.ids, windows, budget))

    def _windows(self, room: int) -> Windows:
        size = max(2, min(self._reading.window or room, room))
        return Windows(size, min(self._reading.overlap, (size - 1) // 2))

    def _joined(self, plans: Sequence[_Plan], parts: Sequence[Scores], found: Scores) -> Scores:
        """Make one score a document of those of its passages."""
        values = self._aggregated([part.values for part in parts])
        evidence = np.full(len(plans), None, dtype=np.object_)
        truncated = np.zeros(len(plans), dtype=np.bool_)
        for place, (plan, part) in enumerate(zip(plans, parts, strict=True)):
            cut = part.truncated is not None and bool(part.truncated.any())
            truncated[place] = cut or part.scored < len(plan.borders)
            if part.scored:
                best = plan.chosen[np.nanargmax(part.values)]
                start, end = plan.borders[best].tolist()
                evidence[place] = Span(start, end, len(plan.borders), part.scored)
        return Scores(
            values,
            self._reason(values, found),
            found.by,
            {name: self._aggregated([p.columns[name] for p in parts]) for name in found.columns},
            evidence,
            truncated,
            self._probabilities(parts),
            self._passed_over(parts),
        )

    def _aggregated(self, parts: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        """Return (n,) float32: one number a document of those of its passages."""
        how, top = self._reading.aggregation, self._reading.top
        return np.array([aggregate(part, how, top) for part in parts], dtype=np.float32)

    def _probabilities(self, parts: Sequence[Scores]) -> NDArray[np.float32] | None:
        found = [part.probabilities for part in parts if part.probabilities is not None]
        return self._aggregated(found) if found else None

    @staticmethod
    def _passed_over(parts: Sequence[Scores]) -> NDArray[np.bool_] | None:
        """Return (n,) bool: of which documents no passage was to be scored; None where of all."""
        over = np.array([part.wanted == 0 for part in parts], dtype=np.bool_)
        return over if over.any() else None

    @staticmethod
    def _reason(values: NDArray[np.float32], found: Scores) -> str:
        unscored = int(np.isnan(values).sum())
        if not unscored or found.complete:
            return found.reason
        return f"{found.reason} passages, {unscored} of {len(values)} documents not at all"
