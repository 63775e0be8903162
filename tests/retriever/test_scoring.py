from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twopass.retriever.errors import ScoringError
from twopass.retriever.scoring import (
    BM25L,
    FORMULAS,
    BM25Plus,
    Lucene,
    Okapi,
    describe,
    formula,
    lucene_byte_length,
)

parameters = {"k1": st.floats(0, 5), "b": st.floats(0, 1)}
scorings = st.one_of(
    st.builds(Lucene, **parameters, lengths=st.sampled_from(["exact", "lucene-byte"])),
    st.builds(Okapi, **parameters, epsilon=st.floats(0, 1)),
    st.builds(BM25L, **parameters, delta=st.floats(0, 2)),
    st.builds(BM25Plus, **parameters, delta=st.floats(0, 2)),
)


@given(scorings)
def test_a_description_is_json_and_gives_the_formula_back(scoring):
    assert formula(**json.loads(json.dumps(describe(scoring)))) == scoring


@given(scorings, st.floats(1, 1000))
def test_impacts_keep_the_order_of_tf_and_length(scoring, average_length):
    tf, length = np.meshgrid(np.arange(1, 40), np.arange(40, 400, 7))
    impacts = scoring.impact(tf, length, average_length)
    assert (np.diff(impacts, axis=1) >= 0).all()
    assert (np.diff(impacts, axis=0) <= 0).all()
    assert (impacts > 0).all()


@given(st.integers(1, 10_000), st.integers(1, 500))
def test_lucene_is_its_formula(n_docs, tf):
    df, length, average, k1, b = (n_docs + 1) // 2, tf + 3, 7.5, 0.9, 0.4
    scoring = Lucene(k1, b)
    idf = np.log(1 + (n_docs - df + 0.5) / (df + 0.5))
    impact = tf / (tf + k1 * (1 - b + b * length / average))
    np.testing.assert_allclose(scoring.idf([df], n_docs), idf)
    np.testing.assert_allclose(scoring.impact([tf], [length], average), impact)


def test_okapi_takes_its_floor_from_the_whole_vocabulary():
    scoring = Okapi(epsilon=0.5)
    df = np.array([1, 2, 9])
    idf = np.log(10 - df + 0.5) - np.log(df + 0.5)
    floor = scoring.floor(df, 10)
    assert floor == pytest.approx(0.5 * idf.mean())
    np.testing.assert_allclose(scoring.idf(df, 10), [idf[0], idf[1], floor])
    np.testing.assert_allclose(scoring.idf(df[2:], 10, floor=floor), [floor])


@given(st.integers(0, 2**31 - 1))
def test_byte_lengths_are_the_largest_storable_ones(length):
    rounded = int(lucene_byte_length(length))
    assert rounded <= length
    assert int(lucene_byte_length(rounded)) == rounded
    assert length - rounded <= max(0, length - 24) / 8


def test_byte_lengths_take_every_value_of_a_byte():
    lengths = np.unique(
        np.concatenate([np.arange(4096), 2 ** np.arange(31)[:, None] * [1, 1.5]], axis=None).astype(
            np.int64
        )
    )
    lengths = np.concatenate([lengths, [2**31 - 1]])
    assert list(lucene_byte_length([23, 24, 39, 40, 41, 42, 57, 100])) == [
        23, 24, 39, 40, 40, 42, 56, 96,
    ]  # fmt: skip
    assert len(np.unique(lucene_byte_length(lengths))) <= 256


@pytest.mark.parametrize(
    ("name", "given_parameters", "message"),
    [
        ("bm11", {}, "lucene, okapi, l, plus"),
        ("lucene", {"delta": 1}, "delta"),
        ("lucene", {"k1": -1}, "k1: expected a number from 0 to 1000, found -1"),
        ("lucene", {"k1": float("nan")}, "k1"),
        ("lucene", {"k1": 1e45}, "k1"),
        ("plus", {"delta": 1e20}, "delta"),
        ("lucene", {"k1": "1.2"}, "k1"),
        ("okapi", {"b": 1.5}, "from 0 to 1, found 1.5"),
        ("okapi", {"epsilon": -0.1}, "epsilon"),
        ("lucene", {"lengths": "byte"}, "'lucene-byte'"),
    ],
)
def test_a_wrong_formula_is_refused(name, given_parameters, message):
    with pytest.raises(ScoringError, match=message):
        formula(name, **given_parameters)


def test_formulas_have_their_libraries_defaults():
    assert {name: describe(each()) for name, each in FORMULAS.items()} == {
        "lucene": {"name": "lucene", "k1": 1.2, "b": 0.75, "lengths": "exact", "scaled": False},
        "okapi": {"name": "okapi", "k1": 1.5, "b": 0.75, "epsilon": 0.25},
        "l": {"name": "l", "k1": 1.5, "b": 0.75, "delta": 0.5},
        "plus": {"name": "plus", "k1": 1.5, "b": 0.75, "delta": 1.0},
    }
