from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twopass.retriever.index.postings import Postings, build_postings, merge_postings
from twopass.retriever.scoring import Lucene

N_TERMS = 7
documents = st.lists(st.lists(st.integers(0, N_TERMS - 1), max_size=15), max_size=20)


def build(docs, n_terms=N_TERMS):
    flat = np.array([term for doc in docs for term in doc], np.int32)
    return build_postings(flat, np.cumsum([0, *map(len, docs)]), n_terms)


@pytest.fixture(scope="module", autouse=True)
def compiled():
    """Compile before the clock of an example runs."""
    segment = build([[0]])
    merge_postings([segment], [np.arange(N_TERMS, dtype=np.int32)], [None], N_TERMS)


def assert_same(one, other):
    for field in fields(Postings):
        left, right = getattr(one, field.name), getattr(other, field.name)
        assert left.dtype == right.dtype, field.name
        np.testing.assert_array_equal(left, right, err_msg=field.name)


@given(documents)
def test_every_posting_is_there_in_order(docs):
    postings = build(docs)
    for term in range(N_TERMS):
        expected = [(i, d.count(term), len(d)) for i, d in enumerate(docs) if term in d]
        here = slice(postings.starts[term], postings.starts[term + 1])
        codes = postings.codes[here]
        tfs, lengths = postings.pair_tfs[codes], postings.pair_lengths[codes]
        assert list(zip(postings.docs[here], tfs, lengths, strict=True)) == expected
    assert list(postings.lengths) == [len(d) for d in docs]


@given(documents)
def test_pairs_are_distinct_and_the_most_frequent_come_first(docs):
    postings = build(docs)
    pairs = list(zip(postings.pair_tfs, postings.pair_lengths, strict=True))
    counts = np.bincount(postings.codes, minlength=len(pairs))
    assert len(set(pairs)) == len(pairs)
    assert (counts > 0).all()
    assert (np.diff(counts) <= 0).all()


@given(documents, st.floats(0.5, 50))
def test_the_frontier_gives_each_terms_highest_impact(docs, average_length):
    postings = build(docs)
    impacts = postings.impacts(Lucene(), average_length)
    for term in np.flatnonzero(postings.df):
        all_of_it = postings.codes[postings.starts[term] : postings.starts[term + 1]]
        first, last = postings.frontier_starts[term : term + 2]
        front = postings.frontier_codes[first:last]
        assert impacts[front].max() == impacts[all_of_it].max()
        assert set(front) <= set(all_of_it)
        assert len(front) <= len(set(postings.pair_tfs[all_of_it]))


@given(documents)
def test_columns_are_the_frequent_terms_by_document(docs):
    postings = build(docs)
    assert list(postings.column_terms) == list(np.flatnonzero(postings.df * 8 > len(docs)))
    columns = postings.columns.reshape(len(postings.column_terms), len(docs))
    for term, column in zip(postings.column_terms, columns, strict=True):
        here = slice(postings.starts[term], postings.starts[term + 1])
        np.testing.assert_array_equal(np.flatnonzero(column), postings.docs[here])
        np.testing.assert_array_equal(column[column > 0] - 1, postings.codes[here])


@given(st.lists(documents, max_size=3), st.integers(0, 2**32 - 1))
def test_a_merge_is_a_rebuild_of_what_is_left(parts, seed):
    rng = np.random.default_rng(seed)
    alive = [rng.random(len(docs)) < 0.7 for docs in parts]
    n_terms = N_TERMS + 3
    maps = [rng.permutation(n_terms)[:N_TERMS].astype(np.int32) for _ in parts]
    merged = merge_postings([build(docs) for docs in parts], maps, alive, n_terms)
    left = [
        [int(new[term]) for term in doc]
        for docs, new, mask in zip(parts, maps, alive, strict=True)
        for doc, lives in zip(docs, mask, strict=True)
        if lives
    ]
    assert_same(merged, build(left, n_terms))


def test_a_merge_without_deletions_needs_no_masks():
    parts = [[[0, 1, 1], [2]], [[2, 2, 0]]]
    same = np.arange(3, dtype=np.int32)
    merged = merge_postings([build(docs, 3) for docs in parts], [same] * 2, [None] * 2, 3)
    assert_same(merged, build(parts[0] + parts[1], 3))


def test_a_term_may_vanish_with_its_documents():
    segment = build([[0], [1, 1]], 2)
    terms = np.array([-1, 0], np.int32)
    merged = merge_postings([segment], [terms], [np.array([False, True])], 1)
    assert_same(merged, build([[0, 0]], 1))
    with pytest.raises(ValueError, match="an id for each term with living documents"):
        merge_postings([segment], [terms], [None], 1)


@pytest.mark.parametrize("threads", [2, 3, 7])
def test_threads_change_nothing(threads, monkeypatch):
    rng = np.random.default_rng(1)
    terms = np.minimum(rng.zipf(1.3, 20_000), 900).astype(np.int32)
    offsets = np.sort(np.concatenate(([0, 0, 20_000], rng.integers(0, 20_000, 600))))
    alone = build_postings(terms, offsets, 901)
    for module in ("inversion", "postings"):
        monkeypatch.setattr(f"twopass.retriever.index.{module}._SHARE", 10)
    assert_same(build_postings(terms, offsets, 901, threads=threads), alone)


def test_more_pairs_than_two_bytes_hold():
    tfs = np.arange(1, 101)  # of 100 terms, in documents of 700 lengths; one more term fills up
    docs = [np.repeat(np.arange(101), [*tfs, filler]) for filler in range(1, 701)]
    flat = np.concatenate(docs).astype(np.int32)
    postings = build_postings(flat, np.cumsum([0, *map(len, docs)]), 101)
    assert len(postings.pair_tfs) > 1 << 16
    assert postings.codes.dtype == postings.columns.dtype == np.uint32
    expected = np.repeat([*tfs, 0], len(docs))
    expected[-len(docs) :] = np.arange(1, 701)
    np.testing.assert_array_equal(postings.pair_tfs[postings.codes], expected)
    same = np.arange(101, dtype=np.int32)
    assert_same(merge_postings([postings], [same], [None], 101), postings)


@pytest.mark.parametrize(
    ("terms", "offsets"), [([0, 5], [0, 2]), ([-1], [0, 1]), ([0], [0, 2]), ([0], [0, 2, 1])]
)
def test_ids_and_offsets_out_of_range_are_refused(terms, offsets):
    with pytest.raises(ValueError, match="expected"):
        build_postings(np.array(terms, np.int32), np.array(offsets), 5)


def test_arrays_that_do_not_fit_are_refused():
    postings = build([[0, 1], [1]])
    for wrong in (
        {"docs": postings.docs.astype(np.int64)},
        {"docs": postings.docs[:-1]},
        {"docs": postings.docs[::2]},
        {"columns": postings.columns[:-1]},
        {"columns": postings.columns.astype(np.uint32)},
        {"frontier_starts": postings.frontier_starts[:-1]},
    ):
        with pytest.raises(ValueError, match="expected"):
            replace(postings, **wrong)


def test_postings_cannot_be_written_to():
    with pytest.raises(ValueError, match="read-only"):
        build([[0]]).docs[0] = 1
