"""Pairs -> a model's raw output: encoded a window ahead of what is scored, and checked."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from twopass.reranker.contract.errors import RerankerError
from twopass.reranker.threads import prefetch

if TYPE_CHECKING:
    from twopass.reranker.engines.engine import BatchRunner
    from twopass.reranker.text.encoding import EncodedPairs, PairEncoder

__all__ = ["Logits", "compute_logits"]

_LOG = logging.getLogger(__name__)

_WINDOW = 4096  # pairs that become token ids together, while those before them are scored


@dataclass(frozen=True, slots=True, eq=False)
class Logits:
    """What a model says of n pairs, before any activation.

    Attributes:
        values: (n, labels) float32, finite: the model's raw output.
        truncated: (n,) bool: whether a text of the pair was cut to fit the model.

    """

    values: NDArray[np.float32]
    truncated: NDArray[np.bool_]


def compute_logits(
    encoder: PairEncoder,
    runner: BatchRunner,
    pairs: Sequence[tuple[str, str]],
    *,
    labels: int,
    batch_size: int | None,
    done: Callable[[int], None],
) -> Logits:
    """Return the model's raw output for each pair, in order.

    Args:
        encoder: pairs -> token ids.
        runner: token ids -> logits.
        pairs: (n,) of a query and a document each.
        labels: how many logits the model gives a pair.
        batch_size: pairs a batch at most, beside the budget of tokens.
        done: called with the number of pairs that were scored since its last call.

    Raises:
        InputError: when a text cannot be encoded.
        RerankerError: when the model gives no number, or memory does not suffice for one pair.

    """

    def encode(start: int) -> EncodedPairs:
        return encoder.encode(pairs[start : start + _WINDOW], first=start)

    values = np.empty((len(pairs), labels), dtype=np.float32)
    truncated = np.zeros(len(pairs), dtype=np.bool_)
    starts = range(0, len(pairs), _WINDOW)
    for start, encoded in zip(starts, prefetch(encode, starts), strict=True):
        window = slice(start, start + _WINDOW)
        truncated[window] = encoded.truncated
        done(len(encoded.row_of) - len(encoded.rows))  # pairs that share another's row
        scored = runner.run(encoded.rows, max_rows=batch_size, done=done)
        values[window] = scored[encoded.row_of]
    _check_finite(values)
    if truncated.any():
        _LOG.info("%d of %d pairs were cut to fit the model", truncated.sum(), len(truncated))
    return Logits(values, truncated)


def _check_finite(logits: NDArray[np.float32]) -> None:
    broken = np.flatnonzero(~np.isfinite(logits).all(axis=1))
    if len(broken):
        raise RerankerError(
            f"expected numbers from the model, found NaN or infinity for {len(broken)} pairs, "
            f"the first pair {broken[0]}; try precision='fp32'"
        )
