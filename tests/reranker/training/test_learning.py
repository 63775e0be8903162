"""That a training teaches: the same steps as a plain loop's, and better order of unseen lists."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from transformers import (
    AutoTokenizer,
    BertForSequenceClassification,
    get_linear_schedule_with_warmup,
)

from twopass.reranker.training import Example, Recipe, Trainer, start_from
from twopass.reranker.training.step import step_rows

pytestmark = pytest.mark.slow

WORDS = ("berlin", "capital", "city", "museum", "history", "modern")
WORDS += ("art", "small", "town", "mountains", "large", "road")
IDLE = ("key.bias", "classifier.bias")  # no gradient but rounding, which AdamW makes large


def lists(count: int, seed: int) -> list[Example]:
    """Return lists of four passages of three words, of which the first has the query's word."""
    rng = np.random.default_rng(seed)
    examples = []
    for _ in range(count):
        query, *others = rng.permutation(WORDS)
        passages = [rng.permutation(others)[:3] for _ in range(4)]
        passages[0][rng.integers(3)] = query
        texts = tuple(" ".join(words) for words in passages)
        examples.append(Example(str(query), texts, (1.0, 0.0, 0.0, 0.0)))
    return examples


def share_in_order(subject, examples: list[Example]) -> float:
    """Return the share of lists whose relevant passage has the highest logit."""
    logits = subject.predict([(e.query, p) for e in examples for p in e.passages])
    return float((logits.reshape(-1, 4).argmax(1) == 0).mean())


def test_unseen_lists_are_ordered_better_after_training(tiny, tmp_path):
    """Which word a query has is chance: only comparing it with the passage's tells the order."""
    recipe = Recipe(
        loss="softmax", batch_size=32, epochs=8, learning_rate=3e-3, dropout=0.0, max_length=24
    )
    subject = start_from(tiny("bert"), recipe, device="cpu")
    learnt = lists(1000, seed=1)
    seen = {(e.query, p) for e in learnt for p in e.passages}
    unseen = [e for e in lists(300, seed=2) if not seen & {(e.query, p) for p in e.passages}]
    assert len(unseen) > 30
    assert share_in_order(subject, unseen) < 0.45
    Trainer(subject, recipe, learnt, tmp_path).train()
    assert share_in_order(subject, unseen) > 0.9


@pytest.mark.parametrize(
    ("loss", "scale"),
    [("bce", 1), ("softmax", 1), ("margin-mse", 10), ("distill", 1), ("ranknet", 1), ("lambda", 5)],
)
def test_each_loss_comes_to_nothing_on_lists_learnt_by_heart(tiny, tmp_path, loss, scale):
    rng = np.random.default_rng(3)
    examples = [
        Example(e.query, e.passages, e.labels, tuple(rng.normal(size=4))) for e in lists(16, seed=3)
    ]
    batch = 64 if loss == "bce" else 16
    recipe = Recipe(
        loss=loss, batch_size=batch, epochs=120, learning_rate=5e-3, dropout=0.0, max_length=24
    )
    subject = start_from(tiny("bert"), recipe, device="cpu")
    log = Trainer(subject, recipe, examples, tmp_path).train().log
    assert log[-1]["loss"] < 0.01 * scale
    assert log[-1]["loss"] < 0.1 * log[0]["loss"]


def test_steps_are_those_of_a_plain_loop(tiny, tmp_path):
    """Ten steps: schedule, clipping, decay of matrices alone, gradients summed over parts."""
    examples = [
        Example(
            f"what is the {thing}?",
            (f"the {thing} is the largest city", "a small museum of art " * number),
            (1.0, 0.0),
        )
        for number, thing in enumerate(WORDS[:8], 1)
    ]
    recipe = Recipe(
        loss="softmax", batch_size=4, epochs=5, learning_rate=3e-4, dropout=0.0,
        weight_decay=0.05, warmup=0.2, token_budget=120, max_length=64,
    )  # fmt: skip
    subject = start_from(tiny("bert"), recipe, device="cpu")
    plain = plain_loop(tiny("bert"), recipe, examples, steps=10)
    assert Trainer(subject, recipe, examples, tmp_path).train().steps == 10
    for name, weight in subject.model.named_parameters():
        if not name.endswith(IDLE):
            torch.testing.assert_close(weight, plain[name], rtol=0, atol=2e-6, msg=name)


def plain_loop(folder, recipe: Recipe, examples: list[Example], *, steps: int):
    """Train by transformers and torch alone, and return the weights by name."""
    model = BertForSequenceClassification.from_pretrained(
        folder, num_labels=1, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0
    ).train()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    matrices = [w for w in model.parameters() if w.dim() > 1]
    others = [w for w in model.parameters() if w.dim() <= 1]
    groups = [{"params": matrices, "weight_decay": 0.05}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=recipe.learning_rate)
    schedule = get_linear_schedule_with_warmup(optimizer, int(0.2 * steps), steps)
    for step in range(steps):
        batch = [
            examples[row] for row in step_rows(step, len(examples), recipe.batch_size, recipe.seed)
        ]
        read = tokenizer(
            [e.query for e in batch for _ in e.passages],
            [p for e in batch for p in e.passages],
            padding=True, truncation="only_second", max_length=64, return_tensors="pt",
        )  # fmt: skip
        logits = model(**read).logits.view(len(batch), 2)
        loss = torch.nn.functional.cross_entropy(logits, torch.zeros(len(batch), dtype=torch.long))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), recipe.clip)
        optimizer.step()
        schedule.step()
    return dict(model.named_parameters())
