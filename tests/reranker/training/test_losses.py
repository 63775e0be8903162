"""Losses beside the same formulas written out in numpy, list by list and pair by pair."""

from __future__ import annotations

from collections.abc import Callable
from math import log2

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from twopass.reranker.training import Example, RecipeError
from twopass.reranker.training.loss import LOSSES
from twopass.reranker.training.losses import (
    BinaryCrossEntropy,
    Distillation,
    LambdaLoss,
    ListSoftmax,
    MarginMSE,
    RankNet,
    make_loss,
)

LOGITS = [2.0, -1.0, 0.5, 0.25]
LABELS = [1.0, 0.0, 0.0, 0.0]
GRADED = [2.0, 0.0, 1.0, 0.0]
SCORES = [3.0, 1.0, 2.5, -1.0]


def value(loss, logits, labels=LABELS, scores=SCORES, padded=0):
    """The loss of one list, filled up with places that must not count."""
    columns = [
        torch.tensor([[*column, *[9.0] * padded]], dtype=torch.float64)
        for column in (logits, labels, scores)
    ]
    mask = torch.arange(len(logits) + padded)[None] < len(logits)
    return float(loss(*columns, mask)[0])


def softmax(x):
    e = np.exp(np.asarray(x) - np.max(x))
    return e / e.sum()


def sigmoid(x):
    return 1 / (1 + np.exp(-np.asarray(x)))


def bce(s, y, t):
    p = sigmoid(np.tanh(s))
    return np.mean(
        [-5 * a * np.log(q) - (1 - a) * np.log(1 - q) for a, q in zip(y, p, strict=True)]
    )


def list_softmax(s, y, t):
    return -np.sum(np.array(y) / np.sum(y) * np.log(softmax(np.array(s) / 2)))


def margin_mse(s, y, t):
    pairs = [(i, j) for i in range(len(s)) for j in range(len(s)) if y[i] > 0 >= y[j]]
    return np.mean([((s[i] - s[j]) - (t[i] - t[j])) ** 2 for i, j in pairs])


def distillation(s, y, t):
    b, share, shape, level = 1.5, 0.3, 0.1, 0.2
    q = (1 - share) * softmax(b * np.array(t)) + share * np.array(y) / np.sum(y)
    apart = (np.array(s) - np.mean(s)) - b * (np.array(t) - np.mean(t))
    squares = shape * np.mean(apart**2) + level * np.mean((np.array(s) - b * np.array(t)) ** 2)
    return np.sum(q * (np.log(q) - np.log(softmax(s)))) + squares


def ranknet(s, y, t):
    pairs = [(i, j) for i in range(len(s)) for j in range(len(s)) if y[i] > y[j]]
    return np.mean([np.log(1 + np.exp(-2 * (s[i] - s[j]))) for i, j in pairs])


def lambda_loss(s, y, t):
    k, mu = 3, 4.0
    rank = [1 + sum(other > own for other in s) for own in s]
    best = sorted(y, reverse=True)[:k]
    ideal = sum((2**g - 1) / log2(2 + place) for place, g in enumerate(best))
    gain = [(2**g - 1) / ideal for g in y]
    total = 0.0
    for i in range(len(s)):
        for j in range(len(s)):
            if y[i] > y[j] and min(rank[i], rank[j]) <= k:
                apart = abs(rank[i] - rank[j])
                rho = abs(1 / log2(1 + rank[i]) - 1 / log2(1 + rank[j]))
                delta = abs(1 / log2(1 + apart) - 1 / log2(2 + apart))
                weight = (rho + mu * delta) * abs(gain[i] - gain[j])
                total += weight * log2(1 + np.exp(-(s[i] - s[j])))
    return total


CASES: list[tuple[Callable, Callable, list[float]]] = [
    (BinaryCrossEntropy(pos_weight=5, activation="tanh"), bce, LABELS),
    (ListSoftmax(temperature=2), list_softmax, GRADED),
    (MarginMSE(), margin_mse, GRADED),
    (Distillation(sharpness=1.5, label_share=0.3, shape=0.1, level=0.2), distillation, LABELS),
    (RankNet(sigma=2), ranknet, GRADED),
    (LambdaLoss(k=3, mu=4), lambda_loss, GRADED),
]
IDS = [type(loss).__name__ for loss, _, _ in CASES]


@pytest.mark.parametrize(("loss", "formula", "labels"), CASES, ids=IDS)
@given(data=st.data())
@settings(max_examples=20, deadline=None)
def test_equals_the_formula(loss, formula, labels, data):
    numbers = st.lists(
        st.integers(-30, 30).map(lambda n: n / 8), min_size=4, max_size=4, unique=True
    )
    logits, scores = data.draw(numbers), data.draw(numbers)
    expected = formula(logits, labels, scores)
    assert value(loss, logits, labels, scores) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(("loss", "formula", "labels"), CASES, ids=IDS)
def test_padding_never_counts(loss, formula, labels):
    alone = value(loss, LOGITS, labels)
    assert value(loss, LOGITS, labels, padded=3) == pytest.approx(alone, rel=1e-9)


@pytest.mark.parametrize(("loss", "formula", "labels"), CASES, ids=IDS)
def test_a_step_down_the_gradient_is_a_step_down(loss, formula, labels):
    logits = torch.tensor([LOGITS], dtype=torch.float64, requires_grad=True)
    rest = (torch.tensor([labels]).double(), torch.tensor([SCORES]).double())
    before = loss(logits, *rest, torch.ones(1, 4, dtype=torch.bool)).sum()
    before.backward()
    moved = (logits - 1e-3 * logits.grad).detach()
    after = loss(moved, *rest, torch.ones(1, 4, dtype=torch.bool)).sum()
    assert after.item() < before.item()


def test_identity_is_torch_and_sentence_transformers_loss():
    targets = torch.tensor(LABELS)
    theirs = torch.nn.BCEWithLogitsLoss(pos_weight=torch.tensor(5.0))(torch.tensor(LOGITS), targets)
    assert value(BinaryCrossEntropy(5), LOGITS) == pytest.approx(float(theirs), rel=1e-6)


def test_distillation_without_a_teacher_is_the_labels_cross_entropy():
    nothing = [float("nan")] * 4
    alone = value(Distillation(label_share=0.3, shape=0.1, level=0.1), LOGITS, LABELS, nothing)
    assert alone == pytest.approx(value(ListSoftmax(), LOGITS), rel=1e-6)


def test_distillation_of_what_is_known_already_is_nothing():
    assert value(Distillation(shape=1), SCORES, [0.0] * 4, SCORES) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("name", LOSSES)
def test_what_is_of_use_to_a_loss(name):
    loss = make_loss(name)
    nothing = Example("q", ("a", "b"), (0.0, 0.0))
    assert loss.usable(nothing) == (name == "bce")
    assert loss.usable(Example("q", ("a", "b"), (1.0, 0.0), (2.0, 1.0)))


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("hinge", {}, "expected one of bce, softmax"),
        ("bce", {"weight": 2}, "expected parameters of pos_weight, activation, found weight"),
        ("bce", {"pos_weight": 0}, "above 0, found 0"),
        ("bce", {"activation": "exp"}, "found 'exp'"),
        ("distill", {"label_share": 2}, "from 0 to 1"),
        ("distill", {"level": -1}, "at least 0"),
        ("lambda", {"mu": -1}, "at least 0"),
    ],
)
def test_mistakes(name, parameters, message):
    with pytest.raises(RecipeError, match=message):
        make_loss(name, **parameters)
