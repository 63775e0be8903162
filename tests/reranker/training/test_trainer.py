"""The loop: exact, resumable, and clear when it cannot go on."""

from __future__ import annotations

import json
import os
import signal

import numpy as np
import pytest
import torch

from twopass.reranker.scorers.cross_encoder import CrossEncoder
from twopass.reranker.training import (
    DivergedError,
    Example,
    ExamplesError,
    ResumeError,
    Trainer,
    TrainingMemoryError,
    start_from,
)

from .training_together import EXAMPLES
from .training_together import RECIPE as TOGETHER

RECIPE = TOGETHER.changed(batch_size=2, log_every=3)


def weights(subject):
    return {name: value.clone() for name, value in subject.model.state_dict().items()}


def same(one, other):
    return all(torch.equal(value, other[name]) for name, value in one.items())


@pytest.fixture
def begin(tiny):
    return lambda recipe=RECIPE, **options: start_from(tiny("bert"), recipe, **options)


def train(subject, folder, recipe=RECIPE, **options):
    return Trainer(subject, recipe, EXAMPLES, folder, **options).train()


def test_learns(begin, tmp_path):
    subject = begin()
    pairs = [(e.query, p) for e in EXAMPLES for p in e.passages]
    result = train(subject, tmp_path, RECIPE.changed(epochs=15))
    scores = subject.predict(pairs).reshape(-1, 3)
    assert (scores.argmax(1) == 0).all()
    assert (result.steps, result.pairs) == (60, 15 * 21)
    assert result.log[-1]["loss"] < 0.5 * result.log[0]["loss"]


def test_one_seed_gives_the_same_weights_and_another_gives_others(begin, tmp_path):
    ends = []
    for run, seed in enumerate((5, 5, 6)):
        recipe = RECIPE.changed(seed=seed)
        subject = begin(recipe)
        train(subject, tmp_path / str(run), recipe)
        ends.append(weights(subject))
    assert same(ends[0], ends[1])
    assert not same(ends[0], ends[2])


@pytest.mark.parametrize("step", [1, 4, 6, 11])
def test_an_interruption_changes_nothing(begin, tmp_path, step):
    """Dropout is on, an evaluation is made on the way, and a real signal stops the training."""

    def evaluate(subject):
        return {"value": float(-subject.predict([("What is the road?", "river")])[0])}

    recipe = RECIPE.changed(eval_every=5)
    whole = begin(recipe)
    expected = train(whole, tmp_path / "whole", recipe, evaluate=evaluate)

    def stop(progress):
        if progress.step == step:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        train(begin(recipe), tmp_path / "cut", recipe, evaluate=evaluate, progress=stop)
    torch.rand(7)  # what happens in between must not matter
    resumed = begin(recipe)
    result = train(resumed, tmp_path / "cut", recipe, evaluate=evaluate)
    assert same(weights(whole), weights(resumed))
    assert result.best_step == expected.best_step
    logs = [
        [
            {name: value for name, value in json.loads(line).items() if name != "seconds"}
            for line in (tmp_path / run / "log.jsonl").read_text().splitlines()
        ]
        for run in ("whole", "cut")
    ]
    assert logs[0] == logs[1]


@pytest.mark.parametrize("changes", [{"token_budget": 30}, {"checkpointing": True}])
def test_what_saves_memory_changes_no_gradient(begin, tmp_path, changes):
    gradients = []
    for run, own in enumerate(({}, changes)):
        recipe = RECIPE.changed(dropout=0.0, batch_size=7, epochs=1, clip=None, **own)
        subject = begin(recipe)
        assert train(subject, tmp_path / str(run), recipe).steps == 1
        gradients.append({name: w.grad for name, w in subject.model.named_parameters()})
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradient, gradients[1][name], rtol=1e-4, atol=1e-6)


def test_the_best_weights_are_kept(begin, tmp_path):
    values = iter([0.95, 0.1, 0.9, 0.2, 0.3])  # the first before training, which is not kept
    kept = {}

    def evaluate(subject):
        value = next(values)
        kept[value] = weights(subject)
        return {"value": value}

    subject = begin()
    result = train(subject, tmp_path, RECIPE.changed(eval_every=3), evaluate=evaluate)
    assert result.best_step == 6
    assert same(weights(subject), kept[0.9])
    assert result.log[0] == {"step": 0, "value": 0.95}


def test_frozen_parts_stay_and_rates_fall_from_layer_to_layer(begin, tmp_path):
    from twopass.reranker.training.step import make_optimizer

    recipe = RECIPE.changed(freeze=("embeddings", "1"), layer_decay=0.5, head_rate=0.1)
    subject = begin(recipe)
    before = weights(subject)
    train(subject, tmp_path, recipe)
    moved = {
        name for name, value in weights(subject).items() if not torch.equal(value, before[name])
    }
    assert not [name for name in moved if "embeddings" in name or "layer.0." in name]
    assert any("layer.1." in name for name in moved)
    optimizer = make_optimizer(subject.model, recipe)
    rates = {group["full_rate"] for group in optimizer.param_groups}
    assert rates == {0.1, 0.5 * recipe.learning_rate}


def test_a_loss_that_is_no_number_ends_with_what_to_do(begin, tmp_path):
    subject = begin()
    with torch.no_grad():
        subject.model.classifier.weight.fill_(float("nan"))
    with pytest.raises(DivergedError, match="step 1: expected a loss, found nan; lower learning_r"):
        train(subject, tmp_path)


def test_no_memory_ends_with_what_to_do(begin, tmp_path):
    subject = begin()
    subject.model.register_forward_pre_hook(lambda *_: torch.empty(1 << 48) and None)
    with pytest.raises(TrainingMemoryError, match="lower token_budget"):
        train(subject, tmp_path)


@pytest.mark.parametrize("examples", [[], [Example("q", ("a", "b"), (0.0, 0.0))]])
def test_nothing_to_learn_from(begin, tmp_path, examples):
    with pytest.raises(ExamplesError, match=r"found none among \d"):
        Trainer(begin(), RECIPE, examples, tmp_path)


def test_a_checkpoint_of_another_training_is_refused(begin, tmp_path):
    train(begin(), tmp_path)
    with pytest.raises(ResumeError, match="--restart"):
        train(begin(), tmp_path, RECIPE.changed(learning_rate=1e-3))
    recipe = RECIPE.changed(learning_rate=1e-3)
    assert Trainer(begin(), recipe, EXAMPLES, tmp_path).train(restart=True).steps == 12


def test_what_is_saved_scores_the_same(begin, tmp_path):
    from sentence_transformers import CrossEncoder as Original
    from transformers import AutoModelForSequenceClassification

    subject = begin()
    train(subject, tmp_path)
    subject.save(tmp_path / "model", RECIPE, half=False)
    pairs = [(e.query, p) for e in EXAMPLES for p in e.passages]
    expected = subject.predict(pairs)
    ours = CrossEncoder(tmp_path / "model", device="cpu").predict(pairs)
    theirs = Original(str(tmp_path / "model"), device="cpu").predict(pairs)
    np.testing.assert_allclose(ours, expected, atol=1e-5)
    np.testing.assert_allclose(theirs, expected, atol=1e-5)
    plain = AutoModelForSequenceClassification.from_pretrained(tmp_path / "model")
    assert plain.config.num_labels == 1
