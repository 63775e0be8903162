"""The last layer for the first token alone: the same loss and the same gradients."""

from __future__ import annotations

import pytest
import torch

from twopass.reranker.architectures import first_token_only
from twopass.reranker.training import Recipe, start_from

PAIRS = [("What is the capital?", "A small museum of art"), ("river", "road, river & town " * 4)]


@pytest.fixture
def subject(tiny):
    return lambda kind="bert": start_from(tiny(kind), Recipe(dropout=0.0), device="cpu")


def gradients(subject, logits):
    subject.model.zero_grad()
    logits.square().sum().backward()
    return {n: w.grad.clone() for n, w in subject.model.named_parameters() if w.grad is not None}


def whole(subject, rows):
    ids, types, mask = map(torch.from_numpy, rows.padded(subject.reading.pad_id, left=False))
    return subject.model(input_ids=ids, attention_mask=mask, token_type_ids=types).logits[:, 0]


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_logits_and_gradients_are_those_of_the_whole_layer(subject, attention):
    one = subject()
    one.model.set_attn_implementation(attention)
    one.model.train()
    rows = one.encoder.encode(PAIRS).rows
    expected = whole(one, rows)
    found = one.forward(rows, "fp32")
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
    before, after = gradients(one, expected), gradients(one, found)
    assert before.keys() == after.keys()
    for name, gradient in before.items():
        torch.testing.assert_close(after[name], gradient, rtol=1e-3, atol=1e-5)


def test_it_computes_less_and_leaves_the_model_as_it_was(subject):
    one, shapes = subject(), []
    last = one.model.bert.encoder.layer[-1]
    handle = last.register_forward_hook(lambda *seen: shapes.append(seen[-1].shape[1]))
    rows = one.encoder.encode(PAIRS).rows
    one.forward(rows, "fp32")
    with pytest.raises(ZeroDivisionError), first_token_only(one.model):
        raise ZeroDivisionError
    whole(one, rows)
    handle.remove()
    assert shapes == [1, max(rows.lengths)]


def test_models_of_another_kind_are_left_alone(subject, tiny):
    other = subject("roberta")
    with first_token_only(other.model):
        assert not any("forward" in vars(module) for module in other.model.modules())


def test_many_rows_are_computed_by_length_with_the_same_gradients(subject):
    one, widths = subject(), []
    one.model.train()
    first = one.model.bert.encoder.layer[0]
    handle = first.register_forward_hook(lambda *seen: widths.append(tuple(seen[-1].shape[:2])))
    texts = ["river", "road, river & town " * 30]
    rows = one.encoder.encode([("What is the capital?", text) for text in texts]).rows
    rows = rows.take(torch.arange(120).remainder(2).numpy())
    expected, found = whole(one, rows), one.forward(rows, "fp32")
    handle.remove()
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
    before, after = gradients(one, expected / 10), gradients(one, found / 10)
    for name, gradient in before.items():
        torch.testing.assert_close(after[name], gradient, rtol=1e-3, atol=1e-5)
    padded = [count * width for count, width in widths]
    assert sum(count for count, _ in widths[1:]) == 120
    assert max(padded[1:]) <= 2048 < sum(padded[1:]) < padded[0]
