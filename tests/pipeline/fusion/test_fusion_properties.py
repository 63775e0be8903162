"""What holds for any scores."""

from __future__ import annotations

from time import perf_counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray

from twopass.pipeline.fusion import fusion, fusions, normalizer, normalizers

PARAMETERS: dict[str, dict[str, Any]] = {
    "rbc": {"phi": 0.8},
    "comb-gmnz": {"gamma": 1.5},
    "log-odds": {"calibration": {"name": "sigmoid", "temperature": 5}},
    "tm2c2": {"logits": True},
}
METHODS = sorted(fusions())
RANK_METHODS = ["rrf", "isr", "log-isr", "logn-isr", "rbc", "borda", "condorcet"]

# On a grid, so that a step between scores survives a sum, and a tie is a tie on every scale.
SCORES = st.integers(0, 400).map(lambda step: np.float32(step / 16))


@st.composite
def score_columns(draw: st.DrawFn, partial: bool = True, ties: bool = True) -> NDArray[np.float32]:
    """Draw (2, n) columns; the second may lack documents."""
    _, n = draw(array_shapes(min_dims=2, max_dims=2, max_side=12))
    columns = draw(arrays(np.float32, (2, n), elements=SCORES, unique=not ties))
    if partial:
        columns[1, draw(arrays(np.bool_, n))] = np.nan
    return columns


def fuse(name: str, columns: NDArray[np.float32]) -> NDArray[np.float32]:
    return fusion(name, **PARAMETERS.get(name, {}))(columns)


@pytest.mark.parametrize("name", METHODS)
@given(columns=score_columns())
def test_output_is_one_float32_a_document_and_input_stays(
    name: str, columns: NDArray[np.float32]
) -> None:
    before = columns.copy()
    fused = fuse(name, columns)
    assert fused.shape == (columns.shape[1],)
    assert fused.dtype == np.float32
    assert not np.isinf(fused).any()
    np.testing.assert_array_equal(columns, before)


@pytest.mark.parametrize("name", METHODS)
@given(columns=score_columns(ties=False), data=st.data())
def test_order_of_documents_means_nothing_without_ties(
    name: str, columns: NDArray[np.float32], data: st.DataObject
) -> None:
    order = np.array(data.draw(st.permutations(range(columns.shape[1]))))
    np.testing.assert_allclose(
        fuse(name, columns[:, order]), fuse(name, columns)[order], rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("name", METHODS)
@given(columns=score_columns(partial=False))
def test_better_in_both_columns_is_never_worse(name: str, columns: NDArray[np.float32]) -> None:
    fused = fuse(name, columns)
    better = (columns[:, :, None] > columns[:, None, :]).all(axis=0)
    margin = fused[:, None] - fused[None, :]
    assert (margin[better] >= -1e-6 * np.abs(fused).max()).all()


@pytest.mark.parametrize("name", RANK_METHODS)
@given(columns=score_columns())
def test_rank_methods_see_order_only(name: str, columns: NDArray[np.float32]) -> None:
    np.testing.assert_array_equal(fuse(name, columns**3 - 7), fuse(name, columns))


@pytest.mark.parametrize("normalization", ["min-max", "sum", "z-score", "three-sigma", "rank"])
@given(columns=score_columns(), scale=st.sampled_from([0.25, 2.0, 64.0]), shift=st.integers(-9, 9))
def test_scale_and_origin_of_a_column_mean_nothing(
    normalization: str, columns: NDArray[np.float32], scale: float, shift: int
) -> None:
    moved = columns * np.float32([[1], [scale]]) + np.float32([[0], [shift]])
    weighted = fusion("weighted", weights=[0.3, 0.7], normalizer=normalization)
    np.testing.assert_allclose(weighted(moved), weighted(columns), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["weighted", "tm2c2", "log-odds", "reranker"])
@given(columns=score_columns())
def test_what_was_not_scored_has_no_place_among_the_scored(
    name: str, columns: NDArray[np.float32]
) -> None:
    np.testing.assert_array_equal(np.isnan(fuse(name, columns)), np.isnan(columns[1]))


@pytest.mark.parametrize("name", sorted(normalizers()))
@given(columns=score_columns())
def test_normalizers_keep_the_order(name: str, columns: NDArray[np.float32]) -> None:
    scores = columns[1].astype(np.float64)
    scored = ~np.isnan(scores)
    normalized = normalizer(name)(scores)[scored]
    assert np.isfinite(normalized).all()
    order = np.argsort(scores[scored], kind="stable")
    steps, grown = np.diff(scores[scored][order]), np.diff(normalized[order])
    assert (grown[steps > 0] >= 0).all()


@pytest.mark.parametrize("name", METHODS)
def test_a_thousand_documents_take_milliseconds(name: str) -> None:
    columns = np.random.default_rng(3).random((2, 1000), dtype=np.float32)
    fuse(name, columns)
    started = perf_counter()
    fuse(name, columns)
    assert perf_counter() - started < 0.2  # generous: a busy machine is no reason to fail
