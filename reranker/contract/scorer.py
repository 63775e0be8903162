"""What a scorer is.

The protocols, a plain scorer lifted to one that keeps deadlines, and fingerprints.

``PairScorer`` is all that a scorer must be. ``DetailedScorer`` can also say what it did not score
and why. ``as_detailed`` makes the second of the first, so that whoever calls needs to know one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from twopass.reranker.contract.deadlines import (
    Deadline,
    Pace,
    estimated_tokens,
    longest_read,
    score_until,
)
from twopass.reranker.contract.errors import (
    InputError,
    ModelError,
    OutputError,
    OverloadedError,
    QueryTooLongError,
    RerankerError,
    UnscoredError,
)
from twopass.reranker.contract.scores import Scores, Span

__all__ = [
    "DetailedScorer",
    "InputError",
    "LiftedScorer",
    "ModelError",
    "OutputError",
    "OverloadedError",
    "PairScorer",
    "QueryTooLongError",
    "RerankerError",
    "Scores",
    "Span",
    "UnscoredError",
    "as_detailed",
    "check_scores",
    "fingerprint_of",
    "function_name",
    "model_fingerprint",
]


@runtime_checkable
class PairScorer(Protocol):
    """Scores (query, passage) pairs: the second stage."""

    def predict(self, pairs: Sequence[tuple[str, str]]) -> NDArray[np.float32]:
        """Return the score of each pair, (n,) float32, in the pairs' order.

        Raises:
            InputError: when a pair is not two strings.

        """
        ...


@runtime_checkable
class DetailedScorer(PairScorer, Protocol):
    """Scores pairs and says how it went; by a deadline, if there is one."""

    def score(self, pairs: Sequence[tuple[str, str]], *, deadline: float | None = None) -> Scores:
        """Return what there is to say of each pair, in the pairs' order.

        Args:
            pairs: (n,) of a query and a passage each, the most promising first.
            deadline: seconds from now. Pairs are scored in their order until time is up; the rest
                are NaN, and the reason says so. That nothing could be scored in time is no error.

        Raises:
            InputError: when a pair is not two strings.
            OverloadedError: when there is too much to do already.

        """
        ...


def as_detailed(scorer: PairScorer) -> DetailedScorer:
    """Return the scorer, lifted to a ``DetailedScorer`` where it is none.

    A lifted scorer keeps deadlines by being asked for a few pairs at a time.
    """
    if isinstance(scorer, DetailedScorer):
        return scorer

    return LiftedScorer(scorer)


class LiftedScorer:
    """Makes a ``DetailedScorer`` of a ``PairScorer``.

    Args:
        scorer: what scores.

    """

    def __init__(self, scorer: PairScorer) -> None:
        self._scorer = scorer
        self._pace = Pace()

    def predict(self, pairs: Sequence[tuple[str, str]]) -> NDArray[np.float32]:
        """Return the scorer's own answer, checked.

        Raises:
            OutputError: when it is not one finite score a pair.

        """
        scores = np.asarray(self._scorer.predict(pairs))
        return check_scores(scores, pairs, type(self._scorer).__name__)

    def score(self, pairs: Sequence[tuple[str, str]], *, deadline: float | None = None) -> Scores:
        """Return the scores of the pairs that were reached by the deadline.

        Raises:
            OutputError: when the scorer does not give one finite score a pair.

        """
        until = Deadline.after(deadline)
        tokens = estimated_tokens(pairs, longest_read(self._scorer))
        values = score_until(until, lambda part: self.predict(pairs[part]), tokens, self._pace)
        scored = int(np.count_nonzero(~np.isnan(values)))
        reason = "" if scored == len(pairs) else until.reason(scored, len(pairs))
        return Scores(values, reason, type(self._scorer).__name__)


def check_scores(
    scores: NDArray[np.floating], pairs: Sequence[tuple[str, str]], name: str
) -> NDArray[np.float32]:
    """Return (n,) float32: the scores, if there is one finite number a pair.

    Raises:
        OutputError: when not; the message names the scorer, and the pair where there is one.

    """
    if scores.shape != (len(pairs),):
        raise OutputError(
            f"expected one score a pair from {name}, shape ({len(pairs)},), found {scores.shape}; "
            "a model with several labels is no reranker"
        )
    if not np.issubdtype(scores.dtype, np.floating):
        raise OutputError(f"expected float scores from {name}, found {scores.dtype}")
    if not np.isfinite(scores).all():
        worst = int(np.argmin(np.isfinite(scores)))
        raise OutputError(
            f"expected finite scores from {name}, found {scores[worst]} for query "
            f"{pairs[worst][0]!r:.80} and passage {pairs[worst][1]!r:.80}"
        )
    return scores.astype(np.float32, copy=False)


_KINDS = ("*.safetensors", "*.json", "*.txt", "*.model")
_BLOCK = 1 << 20


def model_fingerprint(folder: Path, settings: Mapping[str, Any]) -> str:
    """Return a hash of a model's weights, tokeniser and configuration, and of settings.

    Reads all of the folder's files, of which 100 MB take some tenths of a second.

    Args:
        folder: the model's folder.
        settings: whatever else decides about scores, fit for JSON.

    """
    digest = hashlib.blake2b(digest_size=16)
    digest.update(json.dumps(settings, sort_keys=True).encode())
    for path in sorted(path for kind in _KINDS for path in folder.glob(kind)):
        digest.update(f"\0{path.name}\0{path.stat().st_size}\0".encode())
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                digest.update(block)
    return digest.hexdigest()


def function_name(function: Any) -> str | None:
    """Name a function so that only the same one has the name; None for None.

    What has no name of its own, as a lambda or an object, is like nothing else.
    """
    if function is None:
        return None
    name = f"{getattr(function, '__module__', '')}.{getattr(function, '__qualname__', '<')}"
    return f"unnamed {uuid4()}" if "<" in name else name


def fingerprint_of(scorer: PairScorer) -> str:
    """Return a scorer's own fingerprint.

    Raises:
        InputError: when it has none.

    """
    found = getattr(scorer, "fingerprint", None)
    if not isinstance(found, str) or not found:
        raise InputError(
            f"expected a scorer that has a fingerprint, found {type(scorer).__name__} without one; "
            "pass fingerprint=, a text that changes whenever its scores could"
        )
    return found
