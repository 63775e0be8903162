"""Worked examples, computed by hand, and the rules for the cases in which libraries differ."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from twopass.pipeline.errors import FusionError
from twopass.pipeline.fusion import fusion, fusions, method, normalizer, normalizers, rrf

NAN = np.nan

# Three documents, of which the second column lacks the last:
# ranks (1, 2, 3) and (2, 1, -); min-max (1, 0.5, 0) and (0, 1, -).
COLUMNS = np.array([[9.0, 6.0, 3.0], [0.2, 0.8, NAN]], dtype=np.float32)

WORKED = {
    "reranker": ({}, [0.2, 0.8, NAN]),
    "weighted": ({"weights": [0.25, 0.75]}, [0.25, 0.875, NAN]),
    "rrf": ({}, [1 / 61 + 1 / 62, 1 / 62 + 1 / 61, 1 / 63]),
    "tm2c2": ({"alpha": 0.5}, [0.5 * 1 + 0.5 * 0.25, 0.5 * 2 / 3 + 0.5 * 1, NAN]),
    # mean 6, sd sqrt(6); mean 0.5, sd 0.3: the spans are 6 sqrt(6) and 1.8
    "dbsf": ({}, [0.5 + 3 / (6 * 6**0.5) + 1 / 3, 0.5 + 2 / 3, 0.5 - 3 / (6 * 6**0.5)]),
    "log-odds": (
        {"calibration": [{"name": "sigmoid", "center": 6}, "none"]},
        [(3 + np.log(0.25)) / 2, (0 + np.log(4)) / 2, NAN],
    ),
    "rescore": ({"query_weight": 0.5, "rescore_query_weight": 10}, [6.5, 11.0, 1.5]),
    "comb-sum": ({}, [1.0, 1.5, 0.0]),
    "comb-max": ({}, [1.0, 1.0, 0.0]),
    "comb-min": ({}, [0.0, 0.5, 0.0]),
    "comb-med": ({}, [0.5, 0.75, 0.0]),
    "comb-anz": ({}, [0.5, 0.75, 0.0]),
    "comb-mnz": ({}, [2.0, 3.0, 0.0]),
    "comb-gmnz": ({"gamma": 2}, [4.0, 6.0, 0.0]),
    "isr": ({}, [2 * (1 + 1 / 4), 2 * (1 / 4 + 1), 1 / 9]),
    "log-isr": ({}, [np.log(2) * 1.25, np.log(2) * 1.25, 0.0]),
    "logn-isr": ({}, [np.log(2.01) * 1.25, np.log(2.01) * 1.25, np.log(1.01) / 9]),
    "rbc": ({"phi": 0.5}, [0.5 + 0.25, 0.25 + 0.5, 0.125]),
    "borda": ({}, [3 + 2, 2 + 3, 1 + (3 - 2 + 1) / 2]),
    "condorcet": ({}, [1.0, 1.0, -2.0]),
}


@pytest.mark.parametrize("name", WORKED)
def test_worked_example(name: str) -> None:
    parameters, expected = WORKED[name]
    fused = fusion(name, **parameters)(COLUMNS)
    assert fused.dtype == np.float32
    np.testing.assert_allclose(fused, expected, rtol=1e-6, atol=1e-7)


def test_every_method_has_a_worked_example_and_a_line_of_its_own() -> None:
    assert set(WORKED) == set(fusions())
    assert all(line.endswith(".") for line in fusions().values())


@pytest.mark.parametrize(
    ("mode", "expected"),
    [("total", 9.2), ("avg", 4.6), ("max", 9.0), ("min", 0.2), ("multiply", 1.8)],
)
def test_rescore_modes_are_those_of_elasticsearch(mode: str, expected: float) -> None:
    fused = fusion("rescore", mode=mode)(COLUMNS)
    np.testing.assert_allclose(fused[[0, 2]], [expected, 3.0], rtol=1e-6)


def test_three_columns() -> None:
    columns = np.array([[3.0, 2.0, 1.0], [1.0, 3.0, 2.0], [1.0, 3.0, 2.0]], dtype=np.float32)
    np.testing.assert_allclose(fusion("comb-med")(columns), [0.0, 1.0, 0.5])
    # The second wins both duels; the third beats the first two to one.
    np.testing.assert_allclose(fusion("condorcet")(columns), [-2.0, 2.0, 0.0])


def test_condorcet_circle_is_a_draw() -> None:
    circle = np.array([[3.0, 2.0, 1.0], [1.0, 3.0, 2.0], [2.0, 1.0, 3.0]], dtype=np.float32)
    np.testing.assert_array_equal(fusion("condorcet")(circle), [0.0, 0.0, 0.0])


NORMALIZED = {
    "none": ([4.0, 2.0, NAN, 0.0], [5.0, 5.0]),
    "min-max": ([1.0, 0.5, NAN, 0.0], [1.0, 1.0]),
    "max": ([1.0, 0.5, NAN, 0.0], [1.0, 1.0]),
    "sum": ([2 / 3, 1 / 3, NAN, 0.0], [0.5, 0.5]),
    "z-score": ([1.5**0.5, 0.0, NAN, -(1.5**0.5)], [0.0, 0.0]),
    "three-sigma": ([0.5 + 1.5**0.5 / 6, 0.5, NAN, 0.5 - 1.5**0.5 / 6], [0.5, 0.5]),
    "rank": ([1.0, 2 / 3, NAN, 1 / 3], [1.0, 0.5]),
    "borda": ([1.0, 0.75, 0.5 - 2 / 8, 0.5], [1.0, 0.5]),
    "l2": ([4 / 20**0.5, 2 / 20**0.5, NAN, 0.0], [0.5**0.5, 0.5**0.5]),
    "theoretical-min-max": ([1.0, 0.5, NAN, 0.0], [1.0, 1.0]),
    "sigmoid": ([1 / (1 + np.exp(-4)), 1 / (1 + np.exp(-2)), NAN, 0.5], [1 / (1 + np.exp(-5))] * 2),
    "tanh": ([(np.tanh(4) + 1) / 2, (np.tanh(2) + 1) / 2, NAN, 0.5], [(np.tanh(5) + 1) / 2] * 2),
}


@pytest.mark.parametrize("name", NORMALIZED)
def test_normalizer(name: str) -> None:
    mixed, constant = NORMALIZED[name]
    np.testing.assert_allclose(normalizer(name)(np.array([4.0, 2.0, NAN, 0.0])), mixed)
    np.testing.assert_allclose(normalizer(name)(np.array([5.0, 5.0])), constant)


def test_every_normalizer_is_tested() -> None:
    assert set(NORMALIZED) == set(normalizers())


@pytest.mark.parametrize("name", sorted(NORMALIZED))
def test_normalizers_take_zeros_one_element_and_nothing(name: str) -> None:
    function = normalizer(name)
    for scores in (np.zeros(3), np.ones(1), np.zeros(1), np.empty(0)):
        assert np.isfinite(function(scores)).all()
    if name != "borda":
        assert np.isnan(function(np.full(2, NAN))).all()


def test_three_sigma_cuts_an_outlier() -> None:
    scores = np.array([1000.0] + [0.0] * 99)
    assert normalizer("three-sigma")(scores)[0] == 1.0


def test_normalizers_with_parameters() -> None:
    scores = np.array([-1.0, -3.0])
    np.testing.assert_allclose(normalizer("theoretical-min-max", infimum=-5)(scores), [1.0, 0.5])
    sigmoid = normalizer("sigmoid", center=-2, temperature=0.5)
    np.testing.assert_allclose(sigmoid(scores), [1 / (1 + np.exp(-2)), 1 / (1 + np.exp(2))])
    assert np.isfinite(normalizer("sigmoid")(np.array([1e30, -1e30]))).all()


def test_one_normalizer_for_each_column() -> None:
    fused = fusion("weighted", weights=[1, 1], normalizer=["max", {"name": "sigmoid"}])
    columns = np.array([[4.0, 1.0], [0.0, 0.0]], dtype=np.float32)
    np.testing.assert_allclose(fused(columns), [1.5, 0.75])


def test_missing_scores_in_weighted_sums() -> None:
    below = fusion("weighted", weights=[0.9, 0.1])(COLUMNS)
    assert np.isnan(below).tolist() == [False, False, True]
    zero = fusion("weighted", weights=[0.9, 0.1], missing="zero")(COLUMNS)
    np.testing.assert_allclose(zero, [0.9, 0.55, 0.0], rtol=1e-6)
    unheard = fusion("weighted", weights=[1, 0])(COLUMNS)
    np.testing.assert_allclose(unheard, [1.0, 0.5, 0.0])


@pytest.mark.parametrize("name", WORKED)
def test_what_no_column_scored_has_no_fused_score(name: str) -> None:
    columns = np.array([[0.5, NAN], [0.5, NAN]], dtype=np.float32)
    assert np.isnan(fusion(name, **WORKED[name][0])(columns)).tolist() == [False, True]


@pytest.mark.parametrize("name", WORKED)
def test_methods_take_one_document_and_none(name: str) -> None:
    function = fusion(name, **WORKED[name][0])
    assert function(np.empty((2, 0), dtype=np.float32)).shape == (0,)
    assert np.isfinite(function(np.array([[0.5], [0.5]], dtype=np.float32))).all()


@pytest.mark.parametrize("name", WORKED)
@pytest.mark.parametrize("bad", [np.inf, -np.inf])
def test_infinity_is_an_error(name: str, bad: float) -> None:
    columns = np.array([[3.0, 2.0], [0.5, bad]], dtype=np.float32)
    with pytest.raises(FusionError, match=r"expected finite scores .* column 1 for document 1"):
        fusion(name, **WORKED[name][0])(columns)


@pytest.mark.parametrize("shape", [(3,), (0, 3), (1, 2, 3)])
def test_columns_must_be_a_matrix(shape: tuple[int, ...]) -> None:
    with pytest.raises(FusionError, match="expected score columns of shape"):
        rrf(np.zeros(shape, dtype=np.float32))


def test_a_sum_beyond_float32_is_an_error() -> None:
    columns = np.full((2, 1), 3e38, dtype=np.float32)
    with pytest.raises(FusionError, match="exceed float32"):
        fusion("rescore")(columns)


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("rff", {}, "unknown fusion method 'rff': expected one of borda, comb-anz, comb-gmnz"),
        ("rrf", {"c": 1}, "unknown parameter 'c' of fusion method 'rrf': expected k, weights"),
        ("rbc", {}, "'rbc' needs the parameter 'phi'"),
        ("rbc", {"phi": 1}, "expected phi between 0 and 1, found 1"),
        ("rbc", {"phi": "much"}, "fusion method 'rbc' cannot use {'phi': 'much'}: "),
        ("weighted", {"weights": 3}, "'weighted' cannot use {'weights': 3}: "),
        ("weighted", {"weights": ["a", "b"]}, "cannot use"),
        ("rrf", {"k": 0}, "expected k above 0, found 0"),
        ("rrf", {"weights": [0, 0]}, "weights of at least 0, one of them above"),
        ("weighted", {"weights": [-1, 2]}, "weights of at least 0"),
        ("weighted", {"normalizer": "minmax"}, "unknown normalizer 'minmax': expected one of"),
        ("weighted", {"normalizer": {"temperature": 2}}, "with a 'name'"),
        ("weighted", {"normalizer": ["max"]}, "expected one normalizer, or 2"),
        ("weighted", {"normalizer": {"name": "sigmoid", "temperature": 0}}, "temperature above 0"),
        ("weighted", {"missing": "top"}, "expected 'below' or 'zero'"),
        ("tm2c2", {"alpha": 2}, "expected alpha from 0 to 1"),
        ("rescore", {"mode": "sum"}, "unknown rescore mode 'sum': expected one of total, avg"),
        ("rescore", {"query_weight": NAN}, "expected finite weights"),
        ("comb-gmnz", {"gamma": NAN}, "expected a finite gamma"),
        ("logn-isr", {"sigma": -1}, "expected sigma of at least 0"),
    ],
)
def test_what_cannot_be_used_is_found_when_chosen(
    name: str, parameters: dict[str, object], message: str
) -> None:
    with pytest.raises(FusionError, match=message):
        fusion(name, **parameters)


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("log-odds", {}, "expects probabilities, found scores from -2 to 3"),
        ("tm2c2", {}, "expects scores of at least 0, found -2"),
        ("weighted", {"normalizer": "max"}, "normaliser 'max' expects scores of at least 0"),
        ("weighted", {"weights": [1, 1, 1]}, "expected 2 weights, one a score column"),
    ],
)
def test_scores_that_do_not_fit_the_formula(
    name: str, parameters: dict[str, object], message: str
) -> None:
    columns = np.array([[3.0, 2.0], [1.0, -2.0]], dtype=np.float32)
    with pytest.raises(FusionError, match=message):
        fusion(name, **parameters)(columns)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("tm2c2", {}),
        ("rescore", {}),
        ("weighted", {"weights": [0.3, 0.7], "normalizer": ["theoretical-min-max", "min-max"]}),
    ],
)
def test_methods_for_two_columns_take_the_first_and_the_last(
    name: str, parameters: dict[str, Any]
) -> None:
    columns = np.array([[3.0, 2.0, 1.0], [0.1, 0.9, 0.5], [0.2, 0.4, 0.3]], dtype=np.float32)
    chosen = fusion(name, **parameters)
    np.testing.assert_array_equal(chosen(columns), chosen(columns[[0, 2]]))
    with pytest.raises(FusionError, match=r"found \d|expected 1"):
        chosen(columns[:1])


def test_a_name_is_registered_once() -> None:
    with pytest.raises(FusionError, match="a new name for a fusion method, found 'rrf' again"):
        method("rrf")(lambda columns: columns)
    method("rrf")(rrf)  # as when a notebook's cell runs again
    assert fusion("rrf").func is rrf  # type: ignore[attr-defined]


def test_other_distributions_add_methods_by_entry_points(tmp_path: Path) -> None:
    """One that cannot be loaded is logged, and disturbs neither the others nor the listing."""
    (tmp_path / "theirs.py").write_text(
        "import numpy as np\n"
        "def best_of(columns, *, scale=1.0):\n"
        "    'Take the best score of each document.'\n"
        "    return (scale * np.nanmax(columns, axis=0, initial=-9)).astype(np.float32)\n"
    )
    info = tmp_path / "theirs-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[twopass.fusions]\nbest-of = theirs:best_of\nbroken = theirs:gone\nrrf = theirs:best_of\n"
    )
    program = (
        "import numpy as np\n"
        "from twopass.pipeline.fusion import fusion, fusions\n"
        "columns = np.array([[1.0, 2.0], [4.0, 0.5]], dtype=np.float32)\n"
        "print(*fusion('best-of', scale=2)(columns), fusions()['best-of'], 'broken' in fusions())\n"
        "print(*fusion('rrf', k=1)(columns))\n"
    )
    path = os.pathsep.join(filter(None, (str(tmp_path), os.environ.get("PYTHONPATH"))))
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    best, reciprocal = done.stdout.splitlines() or pytest.fail(done.stderr)
    assert best == "8.0 4.0 Take the best score of each document. False"
    assert len(reciprocal.split()) == 2
    for problem in ("'theirs:gone' cannot be loaded", "'theirs:best_of' cannot be loaded"):
        assert problem in done.stderr
