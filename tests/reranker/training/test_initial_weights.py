"""New small models: what they do before anything is learnt, and that they learn."""

from __future__ import annotations

import random
from itertools import product

import numpy as np
import pytest
import torch
from tokenizers import BertWordPieceTokenizer
from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast

from twopass.reranker.contract.errors import ModelError
from twopass.reranker.training import Example, Recipe, Trainer, start_from

SPECIAL = {"pad": "[PAD]", "unk": "[UNK]", "cls": "[CLS]", "sep": "[SEP]", "mask": "[MASK]"}
WORDS = ["the", *("".join(letters) for letters in product("bdfgklmnprst", "aeiou", "xz"))]


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """Return a folder with a BERT of width 128 that tells its words apart, and nothing else."""
    folder = tmp_path_factory.mktemp("source")
    known = [*SPECIAL.values(), *WORDS]
    BertTokenizerFast(
        tokenizer_object=BertWordPieceTokenizer({word: n for n, word in enumerate(known)}),
        model_max_length=64,
        **{f"{name}_token": token for name, token in SPECIAL.items()},
    ).save_pretrained(folder)
    config = BertConfig(
        vocab_size=len(known), hidden_size=128, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=64, max_position_embeddings=64, num_labels=1,
    )  # fmt: skip
    torch.manual_seed(1)
    BertForSequenceClassification(config).save_pretrained(folder)
    return folder


def begin(source, *, hidden=128, layers=2, **recipe):
    made = Recipe(loss="softmax", dropout=0.0, max_length=64, **recipe)
    return start_from(source, made, hidden=hidden, layers=layers, device="cpu"), made


def sentences(seed: int, count: int, size: int) -> list[str]:
    rng = random.Random(seed)
    return [" ".join(rng.sample(WORDS[1:], size)) for _ in range(count)]


@pytest.mark.parametrize(("hidden", "layers"), [(64, 1), (64, 2), (128, 2), (128, 3)])
def test_its_shape(source, hidden, layers):
    subject, _ = begin(source, hidden=hidden, layers=layers)
    config = subject.model.config
    assert (config.hidden_size, config.num_hidden_layers) == (hidden, layers)
    assert config.num_attention_heads == hidden // 64
    assert np.isfinite(subject.predict([("the bax", "bax"), ("", "")])).all()


def test_a_word_attends_to_its_like_in_the_other_text(source):
    subject, _ = begin(source)
    query, passage = ["bax", "kez", "lux"], ["mix", "tuz", "lux", "pox", "bax", "rez", "kez"]
    inputs = subject.tokenizer(" ".join(query), " ".join(passage), return_tensors="pt")
    with torch.no_grad():
        first = subject.model.bert(**inputs, output_attentions=True).attentions[0][0]
    for at, word in enumerate(query, 1):
        like = 2 + len(query) + passage.index(word)
        assert first[:, at].mean(0).argmax() == like
        assert first[:, like].mean(0).argmax() == at


def test_what_shares_words_scores_higher_before_anything_is_learnt(source):
    subject, _ = begin(source)
    queries, others = sentences(1, 40, 4), sentences(2, 40, 8)
    with_them = [f"{query} {other}" for query, other in zip(queries, others, strict=True)]
    without = [f"{one} {other}" for one, other in zip(sentences(3, 40, 4), others, strict=True)]
    higher, lower = (
        subject.predict(list(zip(queries, texts, strict=True))) for texts in (with_them, without)
    )
    assert (higher > lower).mean() > 0.9


def test_it_learns_to_match_words_within_twenty_steps(source, tmp_path):
    def lists(seed: int, count: int) -> list[Example]:
        strays = iter(sentences(seed + 1, 7 * count, 10))
        return [
            Example(query, (f"{next(strays)} {query}", *(next(strays) for _ in range(6))),
                    (1.0, *[0.0] * 6))
            for query in sentences(seed, count, 3)
        ]  # fmt: skip

    subject, recipe = begin(source, batch_size=8, learning_rate=1e-3, seed=3)
    Trainer(subject, recipe, lists(11, 160), tmp_path).train()
    unseen = lists(101, 30)
    first = [np.argmax(subject.predict([(e.query, p) for p in e.passages])) == 0 for e in unseen]
    assert np.mean(first) > 0.9


def test_a_model_that_cannot_tell_query_from_passage(tiny):
    with pytest.raises(ModelError, match="which tells a query's words from a passage's"):
        start_from(tiny("roberta"), Recipe(), hidden=64, device="cpu")


def test_the_seed_decides_the_weights(source):
    one, same, other = (
        begin(source, seed=seed)[0].model.bert.embeddings.word_embeddings.weight
        for seed in (1, 1, 2)
    )
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_how_rare_a_word_is_is_counted_where_texts_are_given(source):
    often, seldom, never = "bax", "kez", "lux"
    texts = [f"{often} {often}"] * 9 + [f"{often} {seldom}"]
    recipe = Recipe(dropout=0.0, max_length=64)
    counted, ranked = (
        start_from(source, recipe, hidden=128, device="cpu", texts=given) for given in (texts, ())
    )
    numbers = [counted.tokenizer.get_vocab()[word] for word in (often, seldom, never)]
    table = counted.model.bert.embeddings.word_embeddings.weight[numbers, 1]
    assert table[0] < table[1] < table[2]
    idf = [np.log1p((10 - df + 0.5) / (df + 0.5)) for df in (10, 1, 0)]
    expected = torch.tensor(idf, dtype=torch.float32) / max(idf)
    torch.testing.assert_close(table / table[2], expected)
    by_place = ranked.model.bert.embeddings.word_embeddings.weight[numbers, 1]
    assert not torch.allclose(table, by_place)
