"""The student: a plain BERT sequence classifier, its loss, and a training loop that can resume."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from distill.lists import Lists
from numpy.typing import NDArray
from torch.nn.functional import cross_entropy, mse_loss, softmax
from transformers import AutoModelForSequenceClassification

__all__ = ["Recipe", "Tokens", "build_student", "score_pairs", "train"]


@dataclass(frozen=True, slots=True)
class Recipe:
    """What decides the weights, beside the data."""

    steps: int = 1200
    lists_per_step: int = 4
    body_rate: float = 1e-4
    head_rate: float = 5e-4
    warmup: float = 0.05  # share of the steps
    decay: float = 0.4  # share of the steps at the end over which the rates fall to nothing
    more_steps: int = 400  # a second, gentler cycle on further lists
    more_rate: float = 0.6  # its highest factor of the rates
    sharpness: float = 1.5  # teacher logits for one spread of its scores
    label_share: float = 0.3  # of the target distribution, where a person judged
    shape_weight: float = 0.1  # of the squared error of centred scores
    level_weight: float = 0.01  # of the squared error of the scores themselves
    query_tokens: int = 64
    pair_tokens: int = 320
    seed: int = 12


class Tokens:
    """Texts as token ids, cut once; pairs are put together from them."""

    def __init__(self, tokenizer: Any, queries: Sequence[str], passages: Sequence[str], r: Recipe):
        plain = {"add_special_tokens": False, "truncation": True}
        self.queries = tokenizer(list(queries), max_length=r.query_tokens, **plain)["input_ids"]
        self.passages = tokenizer(list(passages), max_length=r.pair_tokens, **plain)["input_ids"]
        self.start, self.end = tokenizer.cls_token_id, tokenizer.sep_token_id
        self.longest = r.pair_tokens

    def pair(self, query: int, passage: int) -> tuple[list[int], int]:
        """Return ``[CLS] query [SEP] passage [SEP]`` and where the passage begins."""
        head = [self.start, *self.queries[query], self.end]
        return head + self.passages[passage][: self.longest - len(head) - 1] + [self.end], len(head)


def _batch(pairs: Sequence[tuple[list[int], int]]) -> dict[str, torch.Tensor]:
    width = -(-max(len(ids) for ids, _ in pairs) // 16) * 16  # whole tiles of the matrix unit
    ids, kept, kind = (np.zeros((len(pairs), width), np.int64) for _ in range(3))
    for row, (tokens, second) in enumerate(pairs):
        ids[row, : len(tokens)] = tokens
        kept[row, : len(tokens)] = 1
        kind[row, second : len(tokens)] = 1
    names = ("input_ids", "attention_mask", "token_type_ids")
    return {name: torch.from_numpy(a) for name, a in zip(names, (ids, kept, kind), strict=True)}


def build_student(initial: Path | str) -> Any:
    """Return a one-label classifier on an encoder's weights, without dropout."""
    torch.manual_seed(12)
    return AutoModelForSequenceClassification.from_pretrained(
        initial,
        num_labels=1,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        attn_implementation="eager",  # its backward pass is twice as fast as sdpa's on a CPU
    )


def score_pairs(
    model: Any, tokens: Tokens, pairs: Sequence[tuple[int, int]]
) -> NDArray[np.float32]:
    """Return the logits of (query row, passage row) pairs, (n,) float32."""
    cut = [tokens.pair(*pair) for pair in pairs]
    order = sorted(range(len(cut)), key=lambda at: len(cut[at][0]))
    scores = np.empty(len(cut), np.float32)
    model.eval()
    with torch.inference_mode():
        for start in range(0, len(order), 64):
            rows = order[start : start + 64]
            logits = model(**_batch([cut[row] for row in rows])).logits
            scores[rows] = logits.float().squeeze(-1).numpy()
    return scores


def _loss(
    logits: torch.Tensor, taught: torch.Tensor, label: torch.Tensor, level: float, r: Recipe
) -> torch.Tensor:
    """Return the mean loss of lists; logits and taught (n, size), label (n,), -1 unjudged.

    Cross entropy between the student's softmax and the teacher's, the latter mixed with the
    label (Hinton et al. 2015, arXiv:1503.02531), and squared errors of the centred scores and,
    with little weight, of the scores, which keeps them comparable between queries.
    """
    target = r.sharpness * (taught - level)
    share = r.label_share * (label >= 0).float().unsqueeze(1)
    judged = torch.zeros_like(taught).scatter_(1, label.clamp(min=0).unsqueeze(1), 1.0)
    mixed = (1 - share) * softmax(target, 1) + share * judged
    entropy = -(mixed * mixed.clamp(min=1e-9).log()).sum(1).mean()
    divergence = cross_entropy(logits, mixed) - entropy
    shape = mse_loss(logits - logits.mean(1, True), target - target.mean(1, True))
    return divergence + r.shape_weight * shape + r.level_weight * mse_loss(logits, target)


def _level(lists: Lists) -> float:
    """Return the teacher score halfway between the judged passages and the best other ones."""
    scores = lists.scores[lists.label >= 0]
    return float((scores[:, 0] + scores[:, 1:].max(1)).mean() / 2)


def _steps(tokens: Tokens, lists: Lists, r: Recipe, first: int) -> Iterator[NDArray[np.int64]]:
    """Yield the rows of each step's lists from step ``first`` on; lengths are alike in a step."""
    pool = 32 * r.lists_per_step
    for step in range(first, r.steps + r.more_steps):
        block, inside = divmod(step, 32)
        rows = np.arange(block * pool, (block + 1) * pool) % len(lists.query)
        width = [
            max(len(tokens.passages[p]) for p in lists.passages[row])
            + len(tokens.queries[lists.query[row]])
            for row in rows
        ]
        alike = rows[np.argsort(width, kind="stable")].reshape(32, -1)
        yield alike[np.random.default_rng([r.seed, block]).permutation(32)[inside]]


def _rate(step: int, r: Recipe) -> float:
    """Return the factor of the learning rates: warm-up, plateau and decay, then a gentler cycle."""
    if step >= r.steps:
        rest = (r.steps + r.more_steps - step) / r.more_steps
        return r.more_rate * min(rest, (step + 1 - r.steps) / 20)
    warm = (step + 1) / max(1.0, r.warmup * r.steps)
    left = (r.steps - step) / max(1.0, r.decay * r.steps)
    return min(1.0, warm, left)


class _Master:
    """The trained weights in fp32, beside the model's bf16 copies that the products are made of.

    A step's change is smaller than bf16 can hold; a product in bf16 is ten times as fast.
    """

    def __init__(self, model: Any, r: Recipe) -> None:
        model.bert.embeddings.requires_grad_(False)  # words that no list shows stay in place
        named = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
        self.model, self.working = model, [p for _, p in named]
        self.kept = [p.detach().clone().requires_grad_() for p in self.working]
        self.rates = (r.body_rate, r.head_rate)
        groups: tuple[list[torch.Tensor], list[torch.Tensor]] = ([], [])
        for (name, _), weight in zip(named, self.kept, strict=True):
            groups[name.startswith(("classifier", "bert.pooler"))].append(weight)
        self.optimizer = torch.optim.AdamW([{"params": g} for g in groups], weight_decay=0.01)
        model.bfloat16()

    def step(self, factor: float) -> None:
        """Apply the gradients that the working copies hold, at ``factor`` of the full rates."""
        for kept, weight in zip(self.kept, self.working, strict=True):
            kept.grad, weight.grad = weight.grad.float(), None
        torch.nn.utils.clip_grad_norm_(self.kept, 1.0)
        for group, rate in zip(self.optimizer.param_groups, self.rates, strict=True):
            group["lr"] = factor * rate
        self.optimizer.step()
        self._copy()

    def _copy(self) -> None:
        with torch.no_grad():
            for kept, weight in zip(self.kept, self.working, strict=True):
                weight.copy_(kept)

    def state(self) -> dict[str, Any]:
        """Return what ``load`` needs to go on from here."""
        return {"kept": self.kept, "optimizer": self.optimizer.state_dict()}

    def load(self, state: dict[str, Any]) -> None:
        """Go on from a saved state."""
        with torch.no_grad():
            for kept, saved in zip(self.kept, state["kept"], strict=True):
                kept.copy_(saved)
        self.optimizer.load_state_dict(state["optimizer"])
        self._copy()

    def release(self) -> None:
        """Give the model its weights in fp32."""
        self.model.float()
        self._copy()


def train(
    model: Any,
    tokens: Tokens,
    lists: Lists,
    r: Recipe,
    folder: Path,
    validate: Callable[[], dict[str, float]],
    every: int,
) -> None:
    """Train in place; ``folder`` holds the log and the checkpoint that an interrupt leaves."""
    master = _Master(model, r)
    checkpoint, first = folder / "checkpoint.pt", 0
    if checkpoint.exists():
        held = torch.load(checkpoint, weights_only=True)
        master.load(held["master"])
        first = held["step"]
    level, began, losses, seen = _level(lists), time.time(), [], 0

    def log(**entry: Any) -> None:
        with (folder / "log.jsonl").open("a") as out:
            print(json.dumps(entry), file=out, flush=True)

    for step, rows in enumerate(_steps(tokens, lists, r, first), first):
        model.train()
        pairs = [tokens.pair(lists.query[row], p) for row in rows for p in lists.passages[row]]
        logits = model(**_batch(pairs)).logits
        taught, label = torch.from_numpy(lists.scores[rows]), torch.from_numpy(lists.label[rows])
        loss = _loss(logits.float().view_as(taught), taught, label.long(), level, r)
        loss.backward()
        master.step(_rate(step, r))
        losses.append(loss.item())
        seen += len(pairs)
        done = step + 1
        if done % 50 == 0:
            speed = round(seen / (time.time() - began), 1)
            log(step=done, loss=round(float(np.mean(losses[-50:])), 4), pairs_per_s=speed)
        if done % 100 == 0:
            torch.save({"master": master.state(), "step": done}, checkpoint.with_suffix(".part"))
            checkpoint.with_suffix(".part").rename(checkpoint)
        if done % every == 0:
            log(step=done, seconds=round(time.time() - began), **validate())
    master.release()
