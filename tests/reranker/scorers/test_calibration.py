"""Scores as probabilities: fitted as others fit them, kept by name, and they hold."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twopass.reranker.contract.errors import InputError, ModelError
from twopass.reranker.contract.scorer import Scorer
from twopass.reranker.contract.scores import Scores
from twopass.reranker.scorers.calibration import (
    CalibratedScorer,
    Calibration,
    calibration_path,
    uncalibrated,
)
from twopass.reranker.scorers.calibration_curves import Isotonic, Platt, Temperature, fit, sigmoid
from twopass.reranker.scorers.reliability import draw, reliability

METHODS = ["temperature", "platt", "isotonic"]


@pytest.fixture(scope="module")
def judged():
    """Scores of which a sigmoid of 0.5 s - 2 is the truth."""
    random = np.random.default_rng(5)
    scores = random.normal(0, 4, size=20_000)
    return scores.astype(np.float32), random.random(20_000) < sigmoid(0.5 * scores - 2)


def test_platt_finds_the_truth(judged):
    function = Calibration.fit("platt", *judged).function
    assert isinstance(function, Platt)
    assert function.slope == pytest.approx(0.5, abs=0.02)
    assert function.intercept == pytest.approx(-2, abs=0.06)


def test_temperature_finds_the_truth():
    random = np.random.default_rng(6)
    scores = random.normal(0, 4, size=20_000)
    function = Calibration.fit("temperature", scores, random.random(20_000) < sigmoid(scores / 3))
    assert isinstance(function.function, Temperature)
    assert function.function.temperature == pytest.approx(3, abs=0.15)


def test_platt_equals_an_unpenalised_logistic_regression(judged):
    from sklearn.linear_model import LogisticRegression

    scores, relevant = judged
    peer = LogisticRegression(C=np.inf).fit(scores[:, None].astype(np.float64), relevant)
    function = Calibration.fit("platt", scores, relevant).function
    assert isinstance(function, Platt)
    assert function.slope == pytest.approx(peer.coef_[0, 0], abs=2e-3)
    assert function.intercept == pytest.approx(peer.intercept_[0], abs=2e-3)


@settings(max_examples=60, deadline=None)
@given(
    pairs=st.lists(st.tuples(st.integers(-6, 6), st.booleans()), min_size=2, max_size=60).filter(
        lambda pairs: len({relevant for _, relevant in pairs}) == 2
    )
)
def test_isotonic_equals_scikit_learns(pairs):
    from sklearn.isotonic import IsotonicRegression

    scores = np.array([score for score, _ in pairs], dtype=np.float64)
    relevant = np.array([relevant for _, relevant in pairs])
    peer = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(scores, relevant)
    ours = fit("isotonic", scores, relevant)
    grid = np.linspace(-8, 8, 65)
    np.testing.assert_allclose(ours(grid), peer.predict(grid), atol=1e-12)


@pytest.mark.parametrize("method", METHODS)
def test_probabilities_never_fall_and_nan_stays(judged, method):
    calibration = Calibration.fit(method, *judged)
    scores = np.array([-1e4, -30, -3, 0, 3, 30, 1e4, np.nan], dtype=np.float32)
    found = calibration(scores)
    assert (np.diff(found[:-1]) >= 0).all()
    assert ((found[:-1] >= 0) & (found[:-1] <= 1)).all()
    assert np.isnan(found[-1])
    assert found.dtype == np.float32


@pytest.mark.parametrize("method", ["platt", "isotonic"])
def test_calibration_lowers_the_error_on_other_data(judged, method):
    scores, relevant = judged
    calibration = Calibration.fit(method, scores[:10_000], relevant[:10_000])
    before = reliability(uncalibrated(scores[10_000:]), relevant[10_000:]).error
    after = reliability(calibration(scores[10_000:]), relevant[10_000:]).error
    assert before > 0.15
    assert after < 0.02


def test_scores_of_a_sigmoid_are_taken_for_such(judged):
    scores, relevant = judged
    squeezed = sigmoid(scores.astype(np.float64)).astype(np.float32)
    calibration = Calibration.fit("platt", squeezed, relevant)
    assert calibration.from_probabilities
    inner = np.abs(scores) < 10  # beyond, float32 knows the sigmoid's 1 only roughly
    expected = Calibration.fit("platt", scores, relevant)(scores)
    np.testing.assert_allclose(calibration(squeezed)[inner], expected[inner], atol=0.02)


@pytest.mark.parametrize("method", METHODS)
def test_a_file_gives_the_same(judged, tmp_path, method):
    made = Calibration.fit(method, *judged, scorer="a/model", about={"data": "x"})
    made.save(tmp_path / "deep" / "c.json")
    read = Calibration.load(tmp_path / "deep" / "c.json")
    np.testing.assert_array_equal(read(judged[0]), made(judged[0]))
    assert (read.scorer, read.about) == ("a/model", {"data": "x"})
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["c.json"]


def test_files_that_are_none_are_told(tmp_path):
    with pytest.raises(ModelError, match="found none"):
        Calibration.load(tmp_path / "c.json")
    (tmp_path / "other.json").write_text("{}")
    with pytest.raises(ModelError, match="there are other"):
        Calibration.load(tmp_path / "c.json")
    with pytest.raises(ModelError, match="expected a calibration"):
        Calibration.load(tmp_path / "other.json")


def test_names_are_beside_the_model_and_paths_are_paths(tmp_path):
    assert calibration_path("x", tmp_path) == tmp_path / "calibration" / "x.json"
    assert calibration_path("x.json", tmp_path).parts == ("x.json",)


@pytest.mark.parametrize(
    ("scores", "relevant", "told"),
    [
        ([1.0, 2.0], [True, True], "2 relevant ones of 2"),
        ([1.0, np.nan], [True, False], "finite"),
        ([1.0], [True, False], "a judgement for each"),
    ],
)
def test_data_that_do_not_do(scores, relevant, told):
    with pytest.raises(InputError, match=told):
        Calibration.fit("platt", np.array(scores), np.array(relevant))


def test_scores_the_wrong_way_round_are_refused():
    with pytest.raises(InputError, match="the opposite"):
        Calibration.fit("platt", np.arange(40.0), np.arange(40) < 20)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Temperature(0),
        lambda: Platt(-1, 0),
        lambda: Isotonic([1, 0], [0, 1]),
        lambda: Isotonic([0, 1], [0, 2]),
        lambda: Isotonic([], []),
    ],
)
def test_functions_that_fall_are_refused(make):
    with pytest.raises(InputError):
        make()


def test_reliability_counts_by_hand():
    found = reliability(
        np.array([0.05, 0.1, 0.9, 1.0]), np.array([False, True, True, True]), bins=2
    )
    np.testing.assert_allclose(found.said, [0.075, 0.95])
    np.testing.assert_allclose(found.found, [0.5, 1.0])
    assert found.error == pytest.approx((2 * 0.425 + 2 * 0.05) / 4)
    with pytest.raises(InputError, match="from 0 to 1"):
        reliability(np.array([1.5]), np.array([True]))


def test_a_plot_is_drawn(judged, tmp_path):
    curve = reliability(uncalibrated(judged[0]), judged[1])
    draw(tmp_path / "plot.svg", {"before": curve})
    assert "<svg" in (tmp_path / "plot.svg").read_text()


class Lengths(Scorer):
    def score(self, pairs, *, deadline=None):
        lengths = np.array([len(text) for _, text in pairs], dtype=np.float32)
        return Scores(lengths, "fell back" if deadline else "", "b" if deadline else "a")


def test_a_calibrated_scorer_adds_probabilities_and_changes_no_score():
    calibrated = CalibratedScorer(Lengths(), Calibration(Platt(1, -2)), by="a")
    pairs = [("q", "x" * n) for n in range(5)]
    assert calibrated.predict(pairs).tolist() == [0, 1, 2, 3, 4]
    scores = calibrated.score(pairs)
    assert scores.values.tolist() == [0, 1, 2, 3, 4]
    assert scores.probabilities[2] == pytest.approx(0.5)
    np.testing.assert_array_equal(scores.probabilities, calibrated.probabilities(pairs))
    assert scores.take(slice(2, 3)).probabilities.tolist() == [0.5]
    assert calibrated.score(pairs, deadline=1.0).probabilities is None, "another one answered"
