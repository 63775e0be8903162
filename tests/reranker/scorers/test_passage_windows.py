"""Windows cover a text, keep to their size, and are cut between sentences where they can be."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer

from twopass.reranker.contract.errors import InputError
from twopass.reranker.scorers.passage_windows import Windows
from twopass.reranker.text.encoding import PairEncoder

WORDS = st.sampled_from(
    ["berlin", "Capital", "museum's", "3.7", "mountains", "naïve", "柏林", "🙂"]
)
ENDS = st.sampled_from([" ", " ", " ", ". ", "! ", '?" ', "\n", "。", "-", "  "])
PROSE = st.lists(st.tuples(WORDS, ENDS), max_size=80).map(
    lambda parts: "".join(word + end for word, end in parts)
)


@pytest.fixture(scope="module")
def encoders(tiny):
    return {
        kind: PairEncoder(AutoTokenizer.from_pretrained(tiny(kind)).backend_tokenizer, 64)
        for kind in ("bert", "roberta", "xlm-roberta")
    }


@pytest.mark.parametrize("kind", ["bert", "roberta", "xlm-roberta"])
@settings(max_examples=60, deadline=None)
@given(text=PROSE, size=st.integers(5, 40), overlap=st.integers(0, 19))
def test_windows_cover_every_token_within_their_size(encoders, kind, text, size, overlap):
    overlap = min(overlap, (size - 1) // 2)
    [tokens] = encoders[kind].tokenized([text])
    borders = Windows(size, overlap).cut(text, tokens)
    first, last = borders.T
    assert first[0] == 0
    assert last[-1] == len(tokens)
    assert (last - first <= size).all()
    assert (first[1:] <= last[:-1]).all(), "a token is in no window"
    assert (last[:-1] - first[1:] <= overlap).all()
    assert (np.diff(first) > 0).all()
    assert (np.diff(last) > 0).all()


def cut(encoder, text, size, overlap=0):
    [tokens] = encoder.tokenized([text])
    borders = Windows(size, overlap).cut(text, tokens)
    return [text[tokens.starts[a] : tokens.ends[b - 1]] for a, b in borders]


def test_windows_end_with_sentences(encoders):
    text = "A town. A large town! Is it far? A road, a river and a town in Berlin. A road."
    sentences = [
        "A town. A large town! Is it far?",
        "A road, a river and a town in Berlin.",
        "A road.",
    ]
    sizes = [len(tokens) for tokens in encoders["bert"].tokenized(sentences)]
    assert cut(encoders["bert"], text, max(sizes)) == sentences


def test_the_overlap_begins_with_a_sentence(encoders):
    text = "A town is far away. A road. A river and a road in the town of Berlin."
    first, second = cut(encoders["bert"], text, 17, overlap=6)
    assert first == "A town is far away. A road."
    assert second == "A road. A river and a road in the town of Berlin."


def test_without_sentences_windows_end_with_words(encoders):
    text = "mountains " * 30
    for window in cut(encoders["bert"], text.strip(), 20):
        assert set(window.split()) == {"mountains"}


def test_a_word_longer_than_a_window_is_cut_inside(encoders):
    text = "x" * 50 if len(encoders["roberta"].tokenized(["x" * 50])[0]) > 20 else "xq" * 60
    windows = cut(encoders["roberta"], text, 9)
    assert "".join(windows) == text
    assert len(windows) > 1


def test_an_empty_text_is_one_empty_window(encoders):
    [tokens] = encoders["bert"].tokenized([""])
    assert Windows(8, 2).cut("", tokens).tolist() == [[0, 0]]


@pytest.mark.parametrize("overlap", [-1, 4, 9])
def test_overlap_is_less_than_half_a_window(overlap):
    with pytest.raises(InputError, match="less than half"):
        Windows(8, overlap)
