"""One model on several devices, as one engine."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from twopass.reranker.engines.engine import Engine
from twopass.reranker.text.tokens import TokenRows
from twopass.reranker.threads import reset_in_child

__all__ = ["Replicas"]

_LOG = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class _Replica:
    """An engine, how many tokens it has to do, and whether it failed where another did not."""

    engine: Engine
    number: int
    waiting: int = 0
    lost: bool = False


class Replicas:
    """Gives each batch to the engine with the least to do; another takes over where one fails.

    An engine that failed at what another then did is tried only after all others from then on. A
    full memory is no failure: the caller then plans smaller batches. Where all fail, the batch
    is at fault, and the first one's error is raised.

    Args:
        engines: the same model on each device, at least one.

    """

    def __init__(self, engines: Sequence[Engine]) -> None:
        self._replicas = [_Replica(engine, number) for number, engine in enumerate(engines)]
        first = engines[0]
        self.labels, self.vocabulary_size, self.max_positions = (
            first.labels,
            first.vocabulary_size,
            first.max_positions,
        )
        self.token_budget = min(engine.token_budget for engine in engines)
        self.lanes = sum(engine.lanes for engine in engines)
        self._lock = Lock()
        reset_in_child(self)

    @property
    def devices(self) -> int:
        """How many engines are at work."""
        return sum(not replica.lost for replica in self._replicas)

    def logits(self, batch: TokenRows) -> NDArray[np.float32]:
        """Return (n, labels) float32: the model's raw output for each row, in order.

        Raises:
            MemoryError: when the device has no room for the batch.

        """
        failed: list[tuple[_Replica, Exception]] = []
        while len(failed) < len(self._replicas):
            replica = self._taken([replica for replica, _ in failed], len(batch.ids))
            try:
                logits = replica.engine.logits(batch)
            except MemoryError:
                raise
            except Exception as error:  # whatever a device says when it is no more
                failed.append((replica, error))
            else:
                self._lose(failed)
                return logits
            finally:
                with self._lock:
                    replica.waiting -= len(batch.ids)
        raise failed[0][1]

    def reset(self) -> None:
        """Start again in a forked child, where no engine is at work."""
        self._lock = Lock()
        for replica in self._replicas:
            replica.waiting = 0

    def _taken(self, but: Sequence[_Replica], tokens: int) -> _Replica:
        """Give the tokens to the replica with the least to do, of those not yet tried."""
        with self._lock:
            left = [replica for replica in self._replicas if replica not in but]
            chosen = min(left, key=lambda replica: (replica.lost, replica.waiting))
            chosen.waiting += tokens
            return chosen

    def _lose(self, failed: Sequence[tuple[_Replica, Exception]]) -> None:
        for replica, error in failed:
            if not replica.lost:
                replica.lost = True
                _LOG.warning("device %d failed, the others go on: %s", replica.number, error)
