"""A chain of scorers: the first that can answers, and the answer says which and why."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from threading import Lock
from time import monotonic

from twopass.reranker.contract.deadlines import Deadline
from twopass.reranker.contract.errors import InputError
from twopass.reranker.contract.scorer import PairScorer, Scorer, Wrapper, as_scorer
from twopass.reranker.contract.scores import Scores
from twopass.reranker.threads import reset_in_child

__all__ = ["NO_SCORER", "FallbackScorer"]

_LOG = logging.getLogger(__name__)

NO_SCORER = "none"
"""The name of a chain's end at which nobody scores, rather than an error."""

_Link = PairScorer | Callable[[], PairScorer] | None


class FallbackScorer(Wrapper):
    """Calls scorers in order until one answers: on a GPU, on a CPU, a service, none.

    All pairs of a call are scored by one scorer, so that scores of different kinds are never
    mixed; ``Scores.by`` says by which, ``Scores.reason`` why not by one before it. A scorer that
    scored only a part in time has answered; one that scored nothing has not, and the next is
    called, if there is time. Pairs that cannot be scored as given are an error for every scorer,
    so that none is called after it.

    Args:
        scorers: by name, in order. A function that makes a scorer is called when it is first
            needed, and where it failed, again after a pause. None as the last: where all have
            failed, nothing is scored and no error raised.
        pause: seconds until what could not be made is tried again.

    Raises:
        InputError: when there are no scorers, or None is not the last.

    """

    def __init__(self, scorers: Mapping[str, _Link], *, pause: float = 60.0) -> None:
        names = list(scorers)
        if not any(scorer is not None for scorer in scorers.values()):
            raise InputError("expected scorers to fall back on, found none")
        if any(scorers[name] is None for name in names[:-1]):
            raise InputError(f"expected None as the last scorer only, found it in {names}")
        self._links = dict(scorers)
        self._pause = pause
        self._made: dict[str, Scorer] = {}
        self._unmade: dict[str, tuple[float, Exception]] = {}
        self.reset()
        reset_in_child(self)

    def reset(self) -> None:
        """Replace a lock that another thread may hold: a child process has no other thread."""
        self._making = Lock()

    @property
    def inner(self) -> Scorer:
        """The first scorer that could be loaded, by which the chain describes itself.

        Where none is loaded yet, the first is. Only scoring tries again what could not be loaded,
        so that a description is never waited for twice.
        """
        for name, link in self._links.items():
            if name in self._made:
                return self._made[name]
            if link is not None and name not in self._unmade:
                with suppress(Exception):  # scoring reports it
                    return self._scorer(name, link)
        return _NoScorer()

    @property
    def fingerprint(self) -> str | None:
        """The scorer's where there is but one: of several, any may have answered."""
        links = [link for link in self._links.values() if link is not None]
        return self.inner.fingerprint if len(links) == 1 else None

    @property
    def scorers(self) -> Sequence[Scorer]:
        """Those that are loaded."""
        return tuple(self._made.copy().values())

    def score(self, pairs: Sequence[tuple[str, str]], *, deadline: float | None = None) -> Scores:
        """Return the scores of the first scorer that answers.

        Raises:
            InputError: when pairs cannot be scored as given.
            RerankerError: the last scorer's, where none answered and the chain does not end in
                None.

        """
        until = Deadline.after(deadline)
        failures: list[str] = []
        for name, link in self._links.items():
            if link is None:
                return Scores.none(len(pairs), "; ".join(failures), by=NO_SCORER)
            try:
                scores = self._scorer(name, link).score(pairs, deadline=until.remaining)
            except InputError:
                raise
            except Exception as error:
                failures.append(f"{name}: {type(error).__name__}: {error}")
                _LOG.warning("scorer %s failed (%s: %s)", name, type(error).__name__, error)
                if name == next(reversed(self._links)):
                    raise
                continue
            if scores.scored or not len(scores) or until.passed:
                return _named(scores, name, failures)
            failures.append(f"{name}: {scores.reason}")
        return Scores.none(len(pairs), "; ".join(failures), by=NO_SCORER)

    def _scorer(self, name: str, link: PairScorer | Callable[[], PairScorer]) -> Scorer:
        """Return a link's scorer, made once, by one thread; an error is remembered for a while."""
        with self._making:
            if name in self._made:
                return self._made[name]
            again, error = self._unmade.get(name, (0.0, None))
            if error is not None and monotonic() < again:
                raise error
            try:
                made = link if isinstance(link, PairScorer) else link()
            except Exception as failure:
                self._unmade[name] = monotonic() + self._pause, failure
                raise
            self._made[name] = as_scorer(made)
            return self._made[name]


class _NoScorer(Scorer):
    """What a chain is of which nothing could be loaded."""

    def score(self, pairs: Sequence[tuple[str, str]], *, deadline: float | None = None) -> Scores:  # noqa: ARG002
        """Score nothing."""
        return Scores.none(len(pairs), "no scorer could be loaded", by=self.name)

    @property
    def name(self) -> str:
        """The name of a chain's end."""
        return NO_SCORER


def _named(scores: Scores, name: str, failures: list[str]) -> Scores:
    """Add which scorer answered, and why not one before it."""
    reasons = [*failures, scores.reason] if scores.reason else failures
    return replace(scores, reason="; ".join(reasons), by=name)
