"""A service over HTTP as a scorer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from twopass.reranker.contract.deadlines import Deadline
from twopass.reranker.contract.errors import InputError
from twopass.reranker.contract.inputs import check_pairs, check_unicode
from twopass.reranker.contract.scorer import Scorer
from twopass.reranker.contract.scores import Scores
from twopass.reranker.scorers.remote import dialects
from twopass.reranker.scorers.remote.breaker import CircuitBreaker
from twopass.reranker.scorers.remote.transport import TooLargeError, Transport

__all__ = ["RemoteScorer"]

_TIMED = 32  # texts a request under a deadline, so that some come back if not all do


class RemoteScorer(Scorer):
    """Asks a rerank service: this project's own, Cohere, Jina AI, TEI, vLLM and their like.

    One request has one query; texts are split over several requests where they are more than
    ``max_texts``, or more than the service turns out to take. Safe to use from several threads.

    Args:
        url: the service's address; without ``.../rerank`` at its end, the dialect's path is added.
        dialect: which service it speaks like: a name of ``dialects.DIALECTS``.
        model: the model's name, for services that have several.
        api_key: sent as ``Authorization: Bearer``.
        max_texts: texts a request at most.
        timeout: seconds to wait for an answer.
        attempts: how often a request is sent at most: again after 429, 5xx, lost connections and
            time-outs, after a pause each: ``Retry-After``, or a growing one.
        connections: requests at one time.
        headers: further headers.
        breaker: when to leave a broken service alone.

    Raises:
        ModelError: when httpx is not installed.
        InputError: when an argument cannot be used.

    """

    def __init__(
        self,
        url: str,
        *,
        dialect: str = "cohere-v2",
        model: str | None = None,
        api_key: str | None = None,
        max_texts: int = 1000,
        timeout: float = 30.0,
        attempts: int = 4,
        connections: int = 4,
        headers: Mapping[str, str] | None = None,
        breaker: CircuitBreaker | None = None,
    ) -> None:
        counts = {"max_texts": max_texts, "attempts": attempts, "connections": connections}
        for name, value in counts.items():
            if value < 1:
                raise InputError(f"expected {name} of at least 1, found {value}")
        self._dialect = dialects.dialect(dialect)
        self._model = model
        self._max_texts = max_texts
        self._connections = connections
        key = {} if api_key is None else {"Authorization": f"Bearer {api_key}"}
        self.breaker = CircuitBreaker() if breaker is None else breaker
        self._transport = Transport(
            url if url.rstrip("/").endswith("rerank") else url.rstrip("/") + self._dialect.path,
            {**(headers or {}), **key},
            timeout=timeout,
            attempts=attempts,
            breaker=self.breaker,
        )

    def score(self, pairs: Sequence[tuple[str, str]], *, deadline: float | None = None) -> Scores:
        """Return the scores of the pairs, in order, as far as they came back in time.

        Raises:
            InputError: when a pair is not two strings.
            DeniedError: when the service wants a key, or another one.
            OverloadedError: when it is too busy, and was after each pause.
            UnavailableError: when it cannot be reached, is too slow or broken.
            RemoteError: when it refuses for another reason, such as a text that is too long.
            OutputError: when its answer is no answer of the dialect, or not complete.

        """
        until = Deadline.after(deadline)
        checked = check_pairs(pairs)
        check_unicode(checked)
        requests = self._requests(checked, timed=until.remaining is not None)
        values = np.full(len(checked), np.nan, dtype=np.float32)

        def answer(rows: NDArray[np.int64]) -> None:
            values[rows] = self._ask(checked, rows, until)

        if len(requests) == 1:
            answer(requests[0])
        elif requests:
            with ThreadPoolExecutor(min(self._connections, len(requests))) as threads:
                answers = [threads.submit(answer, rows) for rows in requests]
                try:
                    for each in answers:
                        each.result()
                finally:  # one that failed lets the others go
                    for each in answers:
                        each.cancel()
        return Scores.until(until, values, self.name)

    @property
    def name(self) -> str:
        """The service's address."""
        return self._transport.url

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _requests(self, pairs: list[tuple[str, str]], *, timed: bool) -> list[NDArray[np.int64]]:
        """Return which pairs go together: of one query, not too many, the first ones first."""
        by_query: dict[str, list[int]] = {}
        for row, (query, _) in enumerate(pairs):
            by_query.setdefault(query, []).append(row)
        size = min(self._max_texts, _TIMED) if timed else self._max_texts
        requests = [
            np.array(rows[start : start + size], dtype=np.int64)
            for rows in by_query.values()
            for start in range(0, len(rows), size)
        ]
        return sorted(requests, key=lambda rows: int(rows[0]))

    def _ask(
        self, pairs: list[tuple[str, str]], rows: NDArray[np.int64], until: Deadline
    ) -> NDArray[np.float32]:
        """Send one request, in halves where the service finds it too large; NaN out of time."""
        texts = [pairs[row][1] for row in rows]
        body = self._dialect.request(pairs[rows[0]][0], texts, self._model)
        try:
            answer = self._transport.post(body, until)
        except TimeoutError:
            return np.full(len(rows), np.nan, dtype=np.float32)
        except TooLargeError:
            if len(rows) == 1:
                raise
            half = len(rows) // 2
            first = self._ask(pairs, rows[:half], until)  # if it is no smaller matter, it raises
            self._max_texts = min(self._max_texts, len(rows) - half)
            return np.concatenate([first, self._ask(pairs, rows[half:], until)])
        return self._dialect.scores(answer, len(rows))
