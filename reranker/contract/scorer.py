"""The contract of scorers: the protocol, the base class, and the base class of wrappers.

``PairScorer`` is all that a caller's own scorer must be. ``Scorer`` also keeps deadlines, says what
it did not score and why, and describes itself, so that nobody needs to look inside. ``as_scorer``
makes the second of the first, once, where a scorer enters the package.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from twopass.reranker.contract.deadlines import Deadline, Pace, estimated_tokens, score_until
from twopass.reranker.contract.errors import OutputError
from twopass.reranker.contract.scores import Scores

__all__ = ["Encoder", "PairScorer", "Scorer", "Wrapper", "as_scorer", "derived_fingerprint"]


@runtime_checkable
class PairScorer(Protocol):
    """Scores (query, passage) pairs: the second stage."""

    def predict(self, pairs: Sequence[tuple[str, str]]) -> NDArray[np.float32]:
        """Return the score of each pair, (n,) float32, in the pairs' order.

        Raises:
            InputError: when a pair is not two strings.

        """
        ...


class Encoder(Protocol):
    """Knows how a model splits texts into tokens."""

    @property
    def max_length(self) -> int:
        """How many tokens a pair has at most."""
        ...

    def count(self, pairs: Sequence[tuple[str, str]]) -> int:
        """Return how many tokens the model reads of these pairs, all together."""
        ...

    def clipped(self, texts: Sequence[str], tokens: int) -> list[str]:
        """Return the texts, each cut to so many tokens at most."""
        ...


class Scorer(ABC):
    """Scores pairs and describes itself.

    A subclass defines :meth:`score`, and overrides the properties of which it knows more. One that
    scores by other scorers is a :class:`Wrapper`, which describes itself as its inner one does.
    """

    @abstractmethod
    def score(self, pairs: Sequence[tuple[str, str]], *, deadline: float | None = None) -> Scores:
        """Return the scores of the pairs, in the pairs' order.

        Args:
            pairs: (n,) of a query and a passage each, the most promising first.
            deadline: seconds from now. Pairs are scored in their order until time is up; the rest
                are NaN, and the reason says so. That nothing could be scored in time is no error.

        Raises:
            InputError: when a pair is not two strings.
            OverloadedError: when there is too much to do already.

        """

    def predict(self, pairs: Sequence[tuple[str, str]]) -> NDArray[np.float32]:
        """Return the score of each pair, (n,) float32, in the pairs' order; see :meth:`score`.

        Raises:
            UnscoredError: when a pair got no score.

        """
        return self.score(pairs).whole()

    @property
    def name(self) -> str:
        """What its scores are signed with (``Scores.by``), unless a chain has a name for it."""
        return type(self).__name__

    @property
    def max_length(self) -> int | None:
        """How many tokens of a pair are read at most; None where that is not known."""
        return None

    @property
    def token_budget(self) -> int | None:
        """How many tokens are scored at one time at most; None where that is not known."""
        return None

    @property
    def bounded(self) -> bool:
        """Whether scores are from 0 to 1 rather than logits."""
        return False

    @property
    def encoder(self) -> Encoder | None:
        """What counts and cuts tokens as the model does; None where there is none."""
        return None

    @property
    def fingerprint(self) -> str | None:
        """A text that changes whenever a pair's score could; None where that is not known."""
        return None

    @property
    def scorers(self) -> Sequence[Scorer]:
        """The scorers that it scores by, as far as they are loaded."""
        return ()

    def walk(self) -> Iterator[Scorer]:
        """Yield this scorer and all that it scores by, however deep, each once."""
        seen: set[int] = set()
        waiting: list[Scorer] = [self]
        while waiting:
            each = waiting.pop()
            if id(each) not in seen:
                seen.add(id(each))
                yield each
                waiting += each.scorers


class Wrapper(Scorer):
    """Scores by another scorer and describes itself as that one does.

    A subclass overrides :meth:`score`, and the properties that it changes. One that changes scores,
    or what comes with them, changes the fingerprint too (:func:`derived_fingerprint`).

    Args:
        scorer: what scores.

    """

    def __init__(self, scorer: PairScorer) -> None:
        self._inner = as_scorer(scorer)

    @property
    def inner(self) -> Scorer:
        """The scorer that this one wraps."""
        return self._inner

    def score(self, pairs: Sequence[tuple[str, str]], *, deadline: float | None = None) -> Scores:
        """Return the inner scorer's scores."""
        return self.inner.score(pairs, deadline=deadline)

    @property
    def name(self) -> str:
        """The inner scorer's."""
        return self.inner.name

    @property
    def max_length(self) -> int | None:
        """The inner scorer's."""
        return self.inner.max_length

    @property
    def token_budget(self) -> int | None:
        """The inner scorer's."""
        return self.inner.token_budget

    @property
    def bounded(self) -> bool:
        """The inner scorer's."""
        return self.inner.bounded

    @property
    def encoder(self) -> Encoder | None:
        """The inner scorer's."""
        return self.inner.encoder

    @property
    def fingerprint(self) -> str | None:
        """The inner scorer's."""
        return self.inner.fingerprint

    @property
    def scorers(self) -> Sequence[Scorer]:
        """The inner scorer."""
        return (self.inner,)


def as_scorer(scorer: PairScorer) -> Scorer:
    """Return the scorer, lifted to a :class:`Scorer` where it is none.

    A lifted scorer keeps deadlines by being called with a few pairs at a time.
    """
    return scorer if isinstance(scorer, Scorer) else _Lifted(scorer)


def derived_fingerprint(fingerprint: str | None, change: object) -> str | None:
    """Return the fingerprint of what changes a scorer's scores; None where that has none.

    Args:
        fingerprint: the inner scorer's.
        change: what is done to its scores; equal changes have an equal ``repr``.

    """
    if fingerprint is None:
        return None
    return blake2b(f"{fingerprint}\0{change!r}".encode(), digest_size=16).hexdigest()


class _Lifted(Scorer):
    """Makes a ``Scorer`` of a ``PairScorer``, of which nothing else is known."""

    def __init__(self, scorer: PairScorer) -> None:
        self._scorer = scorer
        self._pace = Pace()

    def score(self, pairs: Sequence[tuple[str, str]], *, deadline: float | None = None) -> Scores:
        """Return the scores of the pairs that were reached by the deadline.

        Raises:
            OutputError: when the scorer does not give one finite score a pair.

        """
        until = Deadline.after(deadline)
        values = score_until(
            until, lambda part: self._checked(pairs[part]), estimated_tokens(pairs), self._pace
        )
        return Scores.until(until, values, self.name)

    @property
    def name(self) -> str:
        """The name of the scorer's class."""
        return type(self._scorer).__name__

    def _checked(self, pairs: Sequence[tuple[str, str]]) -> NDArray[np.float32]:
        """Return (n,) float32: the scorer's answer, if it is one finite number a pair."""
        scores = np.asarray(self._scorer.predict(pairs))
        if scores.shape != (len(pairs),):
            raise OutputError(
                f"expected one score a pair from {self.name}, shape ({len(pairs)},), "
                f"found {scores.shape}; a model with several labels is no reranker"
            )
        if not np.issubdtype(scores.dtype, np.floating):
            raise OutputError(f"expected float scores from {self.name}, found {scores.dtype}")
        if not np.isfinite(scores).all():
            worst = int(np.argmin(np.isfinite(scores)))
            raise OutputError(
                f"expected finite scores from {self.name}, found {scores[worst]} for query "
                f"{pairs[worst][0]!r:.80} and passage {pairs[worst][1]!r:.80}"
            )
        return scores.astype(np.float32, copy=False)
