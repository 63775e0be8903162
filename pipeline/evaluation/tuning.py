"""Choosing settings on judged queries, by cross-validation and a significance test.

The chosen setting of each fold is measured on the queries held out of the choice; these values
together estimate the gain of tuning, and are tested. A larger grid therefore does not look better
than it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twopass.pipeline.errors import EvaluationError
from twopass.pipeline.evaluation.pool import Pool
from twopass.pipeline.evaluation.results import holm, randomization_test
from twopass.pipeline.fusion import Fusion, fusion, reranker

__all__ = [
    "Choice",
    "FusionTuning",
    "ScoringTuning",
    "choose",
    "fusion_grid",
    "tune_fusion",
    "tune_scoring",
]

_LEVEL = 0.05
_K1 = (0.6, 0.9, 1.2, 1.6, 2.0)
_B = (0.2, 0.4, 0.6, 0.75, 0.9)
_SHARES = tuple(number / 20 for number in range(1, 20))
_OTHERS = (0.1, 0.2, 0.3)  # weights of the first stage and of the first scorer, in a cascade
_NORMALIZERS = ("min-max", "z-score", "sum", "rank")


@dataclass(frozen=True, slots=True, eq=False)
class Choice:
    """The result of cross-validation over a grid of settings.

    Attributes:
        names: (c,) of the settings.
        means: (c,) float64: each setting's mean over all queries.
        best: the name of the setting with the highest mean, which is used.
        held_out: (q,) float64: each query's value under the setting chosen without it.
        folds: the settings that the folds chose.

    """

    names: tuple[str, ...]
    means: NDArray[np.float64]
    best: str
    held_out: NDArray[np.float64]
    folds: tuple[str, ...]


def choose(
    names: Sequence[str], values: NDArray[np.float64], *, folds: int = 5, seed: int = 0
) -> Choice:
    """Choose among settings by cross-validation over queries.

    Args:
        names: (c,) of the settings; among equal ones the first is chosen.
        values: (c, q) a measure by setting and query.
        folds: number of parts that the queries are split into.
        seed: of the split.

    Raises:
        EvaluationError: when there are fewer queries than folds, or fewer than two folds.

    """
    queries = values.shape[1]
    if not 2 <= folds <= queries:
        raise EvaluationError(
            f"expected from 2 to {queries} folds, the number of judged queries, "
            f"found {folds}; a few dozen queries are needed to choose anything"
        )
    fold_of = np.random.default_rng(seed).permutation(np.arange(queries) % folds)
    held_out, chosen = np.empty(queries), []
    for number in range(folds):
        out = fold_of == number
        best = int(np.argmax(values[:, ~out].mean(axis=1)))
        held_out[out] = values[best, out]
        chosen.append(names[best])
    means = values.mean(axis=1)
    return Choice(tuple(names), means, names[int(np.argmax(means))], held_out, tuple(chosen))


def fusion_grid(*, logits: bool, opinions: int = 2) -> dict[str, Mapping[str, Any]]:
    """Return the fusions to try: settings by a descriptive name.

    Args:
        logits: whether the second stage's scores are logits, not probabilities.
        opinions: number of score columns; with three, the first scorer of a cascade is weighted
            too.

    """
    none = [0.0] * (opinions - 2)
    weights = [[round(1 - share, 2), *none, share] for share in _SHARES]
    if opinions == 3:
        weights += [[b, c, round(1 - b - c, 2)] for b in _OTHERS for c in _OTHERS]
    grid: dict[str, Mapping[str, Any]] = {}
    by_column = ["theoretical-min-max", *["min-max"] * (opinions - 1)]
    for kind in (*_NORMALIZERS, by_column):
        name = f"weighted {' + '.join(dict.fromkeys(kind)) if isinstance(kind, list) else kind}"
        for each in weights:
            grid[f"{name} {'/'.join(format(weight, '.2f') for weight in each)}"] = {
                "method": "weighted",
                "normalizer": kind,
                "weights": each,
            }
    for alpha in _SHARES:
        grid[f"tm2c2 {alpha}"] = {"method": "tm2c2", "alpha": alpha, "logits": logits}
    for k in (1, 5, 10, 20, 60, 100):
        grid[f"rrf k={k}"] = {"method": "rrf", "k": k}
    for method in ("dbsf", "comb-mnz", "comb-max", "isr", "borda"):
        grid[method] = {"method": method}
    return grid


@dataclass(frozen=True, slots=True, eq=False)
class FusionTuning:
    """A fusion chosen on judged queries, compared with each stage by itself.

    Attributes:
        measure: the optimised measure.
        choice: among the fusions of the grid.
        grid: their settings by name.
        first: (q,) float64: the first stage's values.
        second: (q,) float64: the second stage's values.
        p_first: of the tuned fusion's held-out values against the first stage's, corrected (Holm).
        p_second: the same against the second stage's.
        p_stages: of the second stage against the first.

    """

    measure: str
    choice: Choice
    grid: Mapping[str, Mapping[str, Any]]
    first: NDArray[np.float64]
    second: NDArray[np.float64]
    p_first: float
    p_second: float
    p_stages: float

    @property
    def adopted(self) -> bool:
        """Whether the tuned fusion is significantly better than both stages on held-out queries."""
        held_out = self.choice.held_out.mean()
        better = held_out > self.first.mean() and held_out > self.second.mean()
        return bool(better and max(self.p_first, self.p_second) < _LEVEL)

    @property
    def reranks(self) -> bool:
        """Whether a second stage is an improvement, by itself or fused."""
        return self.adopted or bool(
            self.second.mean() > self.first.mean() and self.p_stages < _LEVEL
        )

    @property
    def settings(self) -> Mapping[str, Any]:
        """The settings to use: the tuned fusion if adopted, else the second stage's scores only."""
        return self.grid[self.choice.best] if self.adopted else {"method": "reranker"}


def tune_fusion(
    pool: Pool,
    *,
    measure: str = "nDCG@10",
    grid: Mapping[str, Mapping[str, Any]] | None = None,
    folds: int = 5,
    seed: int = 0,
    progress: Callable[[int], None] | None = None,
) -> FusionTuning:
    """Choose a fusion and test it.

    Args:
        pool: both stages' scores of a development split.
        measure: the measure to optimise.
        grid: settings of fusions by name; by default ``fusion_grid``.
        folds: of the cross-validation.
        seed: of its split.
        progress: called with the number of fusions tried.

    Raises:
        EvaluationError: when the measure is unknown or there are too few queries.
        FusionError: when a fusion of the grid cannot be used on these scores.

    """
    if grid is None:
        opinions = max((len(found.columns) for found in pool.candidates.values()), default=2)
        grid = fusion_grid(logits=_logits(pool), opinions=opinions)
    rows = []
    for done, settings in enumerate(grid.values(), 1):
        rows.append(_values(pool, _fusion(settings), measure))
        if progress:
            progress(done)
    choice = choose(tuple(grid), np.stack(rows), folds=folds, seed=seed)
    [first] = pool.measured(pool.first(), [measure])
    second = _values(pool, reranker, measure)
    p_first, p_second = holm(
        np.array([_p_value(choice.held_out, first), _p_value(choice.held_out, second)])
    ).tolist()
    return FusionTuning(
        measure, choice, grid, first, second, p_first, p_second, _p_value(second, first)
    )


def _logits(pool: Pool) -> bool:
    """Say whether a score of the second stage is no probability."""
    scores = [found.scores.values for found in pool.candidates.values()]
    return any(bool(((column < 0) | (column > 1)).any()) for column in scores)


def _fusion(settings: Mapping[str, Any]) -> Fusion:
    parameters = {name: value for name, value in settings.items() if name != "method"}
    return fusion(settings["method"], **parameters)


def _values(pool: Pool, method: Fusion, measure: str) -> NDArray[np.float64]:
    values: NDArray[np.float64] = pool.measured(pool.fused(method), [measure])[0]
    return values


def _p_value(values: NDArray[np.float64], others: NDArray[np.float64]) -> float:
    return float(randomization_test((values - others)[None, :])[0])


@dataclass(frozen=True, slots=True, eq=False)
class ScoringTuning:
    """BM25's parameters chosen on judged queries.

    Attributes:
        choice: among the grid's parameters.
        grid: k1 and b by name.
        given: (q,) float64: the values of the parameters that were there before.
        p_value: of the held-out values against these.

    """

    choice: Choice
    grid: Mapping[str, tuple[float, float]]
    given: NDArray[np.float64]
    p_value: float

    @property
    def adopted(self) -> tuple[float, float] | None:
        """The chosen k1 and b, where they are significantly better; ``None`` keeps the old."""
        better = self.choice.held_out.mean() > self.given.mean() and self.p_value < _LEVEL
        return self.grid[self.choice.best] if better else None


def tune_scoring(
    values: Callable[[float | None, float | None], NDArray[np.float64]],
    *,
    folds: int = 5,
    seed: int = 0,
    progress: Callable[[int], None] | None = None,
) -> ScoringTuning:
    """Choose BM25's k1 and b by the quality of the first stage.

    Args:
        values: returns a measure of the first stage, (q,) by query, for k1 and b; with ``None``
            for the current ones.
        folds: of the cross-validation.
        seed: of its split.
        progress: called with the number of parameter pairs tried.

    """
    grid = {f"k1 {k1}, b {b}": (k1, b) for k1 in _K1 for b in _B}
    rows = []
    for done, parameters in enumerate(grid.values(), 1):
        rows.append(values(*parameters))
        if progress:
            progress(done)
    choice, given = choose(tuple(grid), np.stack(rows), folds=folds, seed=seed), values(None, None)
    return ScoringTuning(choice, grid, given, _p_value(choice.held_out, given))
