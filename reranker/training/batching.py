"""Examples -> the padded parts of a step, each of lists about as long as one another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reranker.encoding import PairEncoder
from reranker.planning import plan
from reranker.tokens import TokenRows
from reranker.training.examples import Example

__all__ = ["Part", "epoch_order", "step_count", "step_rows", "token_parts"]


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """Some lists of a step, as many as fit the budget.

    Attributes:
        rows: p token rows, the lists' pairs one list after the other.
        mask: (g, s) bool, p of them true: where in the lists the pairs stand.
        labels: (g, s) float32, 0 where nobody judged.
        scores: (g, s) float32, NaN where there is no teacher.

    """

    rows: TokenRows
    mask: NDArray[np.bool_]
    labels: NDArray[np.float32]
    scores: NDArray[np.float32]


def step_count(examples: int, batch_size: int, epochs: float) -> int:
    """Return how many steps there are: at least one; a last, smaller batch counts in each epoch."""
    return max(1, round(epochs * -(-examples // batch_size)))


def epoch_order(examples: int, seed: int, epoch: int) -> NDArray[np.int64]:
    """Return the order of the examples in an epoch, which depends on the seed and the epoch."""
    return np.random.default_rng([seed, epoch]).permutation(examples)


def step_rows(step: int, examples: int, batch_size: int, seed: int) -> NDArray[np.int64]:
    """Return which examples a step has, counted from 0: no state is needed to resume."""
    epoch, place = divmod(step, -(-examples // batch_size))
    order = epoch_order(examples, seed, epoch)
    return order[place * batch_size : (place + 1) * batch_size]


def token_parts(
    examples: Sequence[Example], encoder: PairEncoder, token_budget: int
) -> Iterator[Part]:
    """Cut a step's examples into parts of at most so many padded tokens, longest lists first.

    A list is never torn; one that is longer than the budget is a part of its own.
    """
    sizes = np.array([len(e.passages) for e in examples])
    first = np.concatenate(([0], np.cumsum(sizes)))
    encoded = encoder.encode([(e.query, p) for e in examples for p in e.passages])
    lengths = encoded.rows.lengths[encoded.row_of]
    longest = np.maximum.reduceat(lengths, first[:-1])
    for chosen in plan(longest * sizes, token_budget):
        mask = np.arange(sizes[chosen].max()) < sizes[chosen][:, None]
        pairs = np.concatenate([np.arange(first[row], first[row + 1]) for row in chosen])
        yield Part(
            encoded.rows.take(encoded.row_of[pairs]),
            mask,
            _column([examples[row].labels for row in chosen], mask, 0.0),
            _column([examples[row].scores for row in chosen], mask, np.nan),
        )


def _column(
    values: Sequence[Sequence[float]], mask: NDArray[np.bool_], missing: float
) -> NDArray[np.float32]:
    column = np.full(mask.shape, missing, np.float32)
    for row, given in enumerate(values):
        column[row, : len(given)] = given
    return column
