"""Rows equal the tokeniser's own, token for token; the query stays whole."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer

from twopass.reranker.contract.errors import InputError, ModelError, QueryTooLongError
from twopass.reranker.text.encoding import PairEncoder
from twopass.reranker.text.template import border_of, clip
from twopass.reranker.text.tokenizer import ModelTokenizer

KINDS = ["bert", "roberta", "xlm-roberta", "modernbert"]

# what the tokenisers were trained on and what borders on it, so that runs of every kind meet
CHARACTERS = "abcdefg0123 .,;:!?-_'()[]<>|/\n\t\r柏林é\u0301🙂Σﬁ\u200b\u00a0\u3000"
LONGER = ["berlin", "Capital ", "museum's", "  ", " \u0301", "[SEP]", "[SE", "</s>", "<pad>"]
PIECES = st.sampled_from([*CHARACTERS, *LONGER, "<mask>", " <mask> "])
WORDS = st.lists(PIECES, max_size=60).map("".join)


@pytest.fixture(scope="module")
def tokenizers(tiny):
    return {kind: AutoTokenizer.from_pretrained(tiny(kind)) for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=60, deadline=None)
@given(query=WORDS, documents=st.lists(WORDS, min_size=1, max_size=4))
def test_rows_equal_the_tokenizers_own(tokenizers, kind, query, documents):
    tokenizer = tokenizers[kind]
    pairs = [(query, document) for document in documents]
    encoded = PairEncoder(tokenizer.backend_tokenizer, 400).encode(pairs)
    expected = tokenizer(pairs, return_token_type_ids=True)
    rows = encoded.rows.take(encoded.row_of)
    assert np.split(rows.ids, rows.offsets[1:-1])[0].tolist() == expected["input_ids"][0]
    assert rows.ids.tolist() == [i for ids in expected["input_ids"] for i in ids]
    assert rows.types.tolist() == [t for types in expected["token_type_ids"] for t in types]
    assert not encoded.truncated.any()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("side", ["right", "left"])
@settings(max_examples=40, deadline=None)
@given(documents=st.lists(WORDS, min_size=1, max_size=4), size=st.integers(12, 40))
def test_cuts_only_the_document_as_the_tokenizer_would(tokenizers, kind, side, documents, size):
    backend = tokenizers[kind].backend_tokenizer.from_str(
        tokenizers[kind].backend_tokenizer.to_str()
    )
    pairs = [("berlin", document) for document in documents]
    whole = backend.encode_batch(pairs)
    backend.enable_truncation(size, strategy="only_second", direction=side)
    if len(backend.encode("berlin", "")) >= size:
        return
    encoded = PairEncoder(backend, size, cut_left=side == "left").encode(pairs)
    rows = encoded.rows.take(encoded.row_of)
    assert rows.ids.tolist() == [i for e in backend.encode_batch(pairs) for i in e.ids]
    assert encoded.truncated.tolist() == [len(e) > size for e in whole]


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=150, deadline=None)
@given(text=st.lists(PIECES, max_size=200).map("".join), characters=st.integers(0, 150))
def test_clipping_keeps_the_first_tokens(tokenizers, kind, text, characters):
    backend = tokenizers[kind].backend_tokenizer
    border = border_of(backend)
    assert border is not None
    part = clip(text, characters, border)
    assert text.startswith(part)
    assert len(part) >= min(characters, len(text))
    whole = backend.encode(text, add_special_tokens=False).ids
    ids = backend.encode(part, add_special_tokens=False).ids
    assert ids == whole[: len(ids)]


def test_an_unknown_normalizer_is_never_clipped(tokenizers):
    from tokenizers import Tokenizer, normalizers

    backend = Tokenizer.from_str(tokenizers["roberta"].backend_tokenizer.to_str())
    backend.normalizer = normalizers.Replace(" ", "_")
    assert border_of(backend) is None


def test_equal_pairs_share_a_row(tokenizers):
    encoder = PairEncoder(tokenizers["bert"].backend_tokenizer, 64)
    encoded = encoder.encode([("a", "b"), ("a", "c"), ("a", "b"), ("b", "a")])
    assert len(encoded.rows) == 3
    assert encoded.row_of.tolist() == [0, 1, 0, 2]


def test_leaves_room_for_one_token_of_the_document(tokenizers):
    encoder = PairEncoder(tokenizers["bert"].backend_tokenizer, 10)  # 7 beside [CLS], [SEP], [SEP]
    fits = encoder.encode([("? " * 6, "? ? ?")])
    assert fits.rows.lengths.tolist() == [10]
    assert fits.truncated.tolist() == [True]
    with pytest.raises(QueryTooLongError, match=r"pair 5: expected a query of fewer than 7 tokens"):
        encoder.encode([("? " * 7, "")], first=5)


def test_the_longest_query_is_cut_only_as_far_as_asked(tokenizers):
    backend = tokenizers["bert"].backend_tokenizer
    encoded = PairEncoder(backend, 10, max_query_length=2).encode([("? ! . ,", "? ! . ,")])
    expected = backend.encode("? !", "? ! . ,").ids
    assert encoded.rows.ids.tolist() == expected
    assert encoded.truncated.tolist() == [True]


@pytest.mark.parametrize(("size", "query"), [(4, None), (10, 7), (10, 0), (10, -1)])
def test_lengths_without_room_are_refused(tokenizers, size, query):
    with pytest.raises(ModelError, match="expected room for a query and a document beside 3"):
        PairEncoder(tokenizers["bert"].backend_tokenizer, size, max_query_length=query)


def test_a_pair_without_tokens_is_refused(tokenizers):
    from tokenizers import Tokenizer, processors

    bare = Tokenizer.from_str(tokenizers["roberta"].backend_tokenizer.to_str())
    bare.post_processor = processors.TemplateProcessing(single="$A", pair="$A $B")
    encoder = PairEncoder(bare, 20)
    assert encoder.encode([("a", "")]).rows.lengths.tolist() == [1]
    with pytest.raises(InputError, match="pair 1: expected at least one token"):
        encoder.encode([("a", "b"), ("", "")])


def test_a_frame_that_is_none_is_refused(tokenizers):
    from tokenizers import Tokenizer, processors

    swapped = Tokenizer.from_str(tokenizers["roberta"].backend_tokenizer.to_str())
    swapped.post_processor = processors.TemplateProcessing(single="$A", pair="$B $A")
    with pytest.raises(ModelError, match="into one frame of special tokens"):
        PairEncoder(swapped, 20)


def test_the_tokenizer_handed_over_is_left_alone(tokenizers):
    backend = tokenizers["bert"].backend_tokenizer.from_str(
        tokenizers["bert"].backend_tokenizer.to_str()
    )
    backend.enable_truncation(5)
    encoder = PairEncoder(backend, 64)
    assert encoder.encode([("? ? ? ? ? ?", "! ! !")]).rows.lengths.tolist() == [12]
    assert backend.truncation["max_length"] == 5


def test_limits_follow_the_caller_then_the_folder_then_the_tokenizer():
    def of(max_length: int | None) -> ModelTokenizer:
        return ModelTokenizer(None, 0, False, False, True, max_length)  # type: ignore[arg-type]

    assert of(100).limit(512, None, None) == 100
    assert of(1000).limit(512, None, None) == 512
    assert of(100).limit(512, 256, None) == 256
    assert of(None).limit(512, None, None) == 512
    assert of(100).limit(512, 256, 300) == 300
    with pytest.raises(ModelError, match="at most 512, found 513"):
        of(100).limit(512, None, 513)
    with pytest.raises(ModelError, match="pass max_length="):
        of(None).limit(None, None, None)
