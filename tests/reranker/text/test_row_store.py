"""Rows by text: right or absent, whatever else is there; and tokens that change no score."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer

from twopass.reranker.scorers.cross_encoder import CrossEncoder
from twopass.reranker.text.encoding import PairEncoder
from twopass.reranker.text.row_store import (
    RowStore,
    RowStoreError,
    find_tokens,
    fingerprint,
    refresh_tokens,
    store_tokens,
)


def test_rows_are_found_by_their_text(tmp_path):
    rows = RowStore.create(tmp_path / "rows", "uint16", model="m")
    rows.add(["a", "b", ""], [np.arange(3), np.array([7]), np.zeros(0, int)])
    rows.add(["c"], [np.array([9, 9])])
    reopened = RowStore(tmp_path / "rows")
    found = reopened.find(["c", "x", "a", "", "a"])
    assert [None if row is None else row.tolist() for row in found] == [
        [9, 9],
        None,
        [0, 1, 2],
        [],
        [0, 1, 2],
    ]
    assert reopened.missing(["x", "a", "y", "x"]) == ["x", "y"]
    assert len(reopened) == 4
    assert reopened.about["model"] == "m"


def test_rows_of_empty_texts_alone_can_be_read(tmp_path):
    RowStore.create(tmp_path / "rows", "uint16").add([""], [np.zeros(0, int)])
    [row] = RowStore(tmp_path / "rows").find([""])
    assert row is not None
    assert len(row) == 0


@settings(max_examples=30, deadline=None)
@given(parts=st.lists(st.lists(st.text(max_size=5), unique=True, max_size=8), max_size=4))
def test_many_segments_equal_one_dictionary(tmp_path_factory, parts):
    rows = RowStore.create(tmp_path_factory.mktemp("rows") / "r", "int32")
    expected: dict[str, list[int]] = {}
    for number, texts in enumerate(parts):
        new = rows.missing(texts)
        rows.add(new, [np.array([number, len(text)]) for text in new])
        expected |= {text: [number, len(text)] for text in new}
    texts = [*expected, "a text of more than five characters"]
    found = [None if row is None else row.tolist() for row in rows.find(texts)]
    assert found == [*expected.values(), None]


def test_a_folder_that_is_none_is_told(tmp_path):
    with pytest.raises(RowStoreError, match="expected rows by text"):
        RowStore(tmp_path)
    (tmp_path / "about.json").write_text(json.dumps({"format": 99}))
    with pytest.raises(RowStoreError, match="format 1, found 99"):
        RowStore(tmp_path)


def test_a_damaged_segment_is_told(tmp_path):
    rows = RowStore.create(tmp_path / "rows", "uint16")
    rows.add(["a"], [np.arange(3)])
    (tmp_path / "rows" / "segment-000001" / "keys.npy").write_bytes(b"nothing")
    with pytest.raises(RowStoreError, match="make it again"):
        RowStore(tmp_path / "rows")


@pytest.mark.parametrize("kind", ["bert", "roberta", "xlm-roberta"])
@pytest.mark.parametrize("side", ["left", "right"])
def test_stored_tokens_give_the_same_rows(tiny, texts, tmp_path, kind, side):
    tokenizer = AutoTokenizer.from_pretrained(tiny(kind)).backend_tokenizer
    documents = [*texts, "", " ".join(texts * 9)]
    store_tokens(tmp_path, tokenizer, documents[1:])
    pairs = [(texts[0], document) for document in [*documents, "a text that is not stored"]]
    cut_left = side == "left"
    plain = PairEncoder(tokenizer, 64, cut_left=cut_left).encode(pairs)
    stored = PairEncoder(tokenizer, 64, cut_left=cut_left, stored=tmp_path).encode(pairs)
    for name in ("ids", "types", "offsets"):
        np.testing.assert_array_equal(getattr(stored.rows, name), getattr(plain.rows, name))
    np.testing.assert_array_equal(stored.truncated, plain.truncated)


def test_stored_tokens_are_read_and_give_the_same_scores(tiny, texts, tmp_path):
    tokenizer = AutoTokenizer.from_pretrained(tiny("bert")).backend_tokenizer
    rows = store_tokens(tmp_path, tokenizer, texts)
    pairs = [("berlin", text) for text in texts]
    plain = CrossEncoder(tiny("bert"), device="cpu")
    stored = CrossEncoder(tiny("bert"), device="cpu", stored_tokens=tmp_path)
    np.testing.assert_array_equal(stored.predict(pairs), plain.predict(pairs))
    # that the store was read shows when it is wrong
    [segment] = rows.folder.glob("segment-*")
    values = np.load(segment / "values.npy")
    np.save(segment / "values.npy", np.roll(values, 1))
    wrong = CrossEncoder(tiny("bert"), device="cpu", stored_tokens=tmp_path)
    assert (wrong.predict(pairs) != plain.predict(pairs)).any()


def test_tokens_of_another_tokenizer_are_passed_over(tiny, texts, tmp_path):
    one, other = (
        AutoTokenizer.from_pretrained(tiny(k)).backend_tokenizer for k in ("bert", "roberta")
    )
    store_tokens(tmp_path, one, texts)
    assert find_tokens(tmp_path, other) is None
    assert find_tokens(tmp_path, one) is not None
    one.enable_truncation(8)
    assert find_tokens(tmp_path, one) is not None, "truncation is no other tokeniser"
    assert fingerprint(one) != fingerprint(other)


def test_refreshing_adds_only_what_is_new(tiny, texts, tmp_path):
    tokenizer = AutoTokenizer.from_pretrained(tiny("bert")).backend_tokenizer
    store_tokens(tmp_path, tokenizer, texts[:2], model="a-model")
    refresh_tokens(tmp_path, lambda: texts)
    rows = find_tokens(tmp_path, tokenizer)
    assert rows is not None
    assert len(rows) == len(texts)
    assert rows.about["model"] == "a-model"
    assert [len(row) for row in rows.find(texts)] == [
        len(encoding.ids) for encoding in tokenizer.encode_batch(texts, add_special_tokens=False)
    ]
