"""Make a tiny cross-encoder, 2 layers and 128 wide, in an hour or two of one CPU core.

Its initial weights are constructed, not random (``reranker/training/initial_weights.py``), so some
ten thousand lists suffice: judged and generated queries, each with hard negatives from BM25. It is
trained on labels first, then on the scores of the shipped model, mixed with BM25's as the fusion
mixes them. An interrupted run continues from its last checkpoint.

    python recipes/make_tiny_model.py --data DATA --initial WORDS --out DIR

DATA holds nq-qed, squad, medquad, scifact and nfcorpus in BEIR's layout; WORDS is bge-small-en-v1.5
(a folder or its hub name), whose word embeddings are used. No dev or test question is used for
training, and of SciFact and NFCorpus only the texts. How well it ranks: ``docs/model-notes.md``.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from tiny.lessons import draw_examples, read_texts

from twopass import CachingScorer, CrossEncoder
from twopass.pipeline.training.negatives import score_with_teachers
from twopass.reranker.training import Example, Recipe, Trainer, read_examples, start_from
from twopass.reranker.training.examples import write_examples
from twopass.reranker.training.trainer import Progress

_SEED = 12
_TEACHER = "twopass/default"
_BM25_SHARE = 0.3  # of what is taught, both in units of their spread within a list
_FIRST = Recipe(
    loss="softmax", epochs=1, batch_size=16, learning_rate=1e-3, head_rate=2e-3,
    freeze=("embeddings",), warmup=0.05, decay=0.6, dropout=0.0, max_length=96,
    save_every=10, log_every=10, seed=_SEED,
)  # fmt: skip
_LATER = replace(
    _FIRST, loss="distill", loss_parameters={"sharpness": 1.5, "label_share": 0.3, "shape": 0.02},
    epochs=2, learning_rate=5e-4, head_rate=None, decay=0.9, max_length=256,
)  # fmt: skip
_FIRST_LISTS = 2_400  # that labels alone teach
_LONGEST = 320  # tokens a pair, of the model that is saved


def _examples(data: Path, out: Path) -> list[Example]:
    """Return the lists, in an order drawn by the seed, made once and kept."""
    kept = out / "examples.jsonl.gz"
    if not kept.exists():
        drawn = draw_examples(*read_texts(data, _SEED), _SEED)
        order = np.random.default_rng(_SEED).permutation(len(drawn))
        write_examples(kept, [drawn[row] for row in order])
    return read_examples(kept)


def _taught(examples: Sequence[Example], out: Path) -> list[Example]:
    """Give the lists the teacher's scores mixed with BM25's; what was scored before is kept."""
    scorer = CrossEncoder(_TEACHER, device="cpu", precision="auto")
    teacher = CachingScorer(scorer, folder=out / "scores")
    total = sum(len(e.passages) for e in examples)

    def tell(done: int) -> None:
        print(f"{_TEACHER}: {done:,} of {total:,} pairs", flush=True)

    taught = score_with_teachers(examples, [teacher], progress=tell).examples
    words = np.array([e.scores for e in examples])
    words = (words - words.mean(1, keepdims=True)) / words.std(1).mean()
    return [
        replace(e, scores=tuple((1 - _BM25_SHARE) * np.array(e.scores) + _BM25_SHARE * own))
        for e, own in zip(taught, words, strict=True)
    ]


def _train(
    source: str | Path, course: Recipe, examples: Sequence[Example], out: Path, **new: object
) -> Path:
    """Train on the examples; return the folder of what came of it."""
    if not (out / "model" / "config.json").exists():
        out.mkdir(exist_ok=True)
        subject = start_from(source, course, device="cpu", **new)
        Trainer(subject, course, examples, out, progress=_say).train()
        subject.encoder.max_length = _LONGEST
        subject.save(out / "model", course)
    return out / "model"


def _say(now: Progress) -> None:
    if now.step % 10 == 0 or now.step == now.steps:
        left = f"{now.pairs_per_second:.0f} pairs/s, {now.seconds_left / 60:.0f} min left"
        print(f"step {now.step} of {now.steps}: loss {now.loss:.3f}, {left}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--initial", default="BAAI/bge-small-en-v1.5")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=1, help="more only on a quiet machine")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(arguments.threads)
    examples = _examples(arguments.data, arguments.out)
    passages = list(dict.fromkeys(p for e in examples for p in e.passages))
    new = {"layers": 2, "hidden": 128, "texts": passages}
    first, later = examples[:_FIRST_LISTS], examples[_FIRST_LISTS:]
    begun = _train(arguments.initial, _FIRST, first, arguments.out / "course-1", **new)
    taught = _taught(later, arguments.out)
    print(_train(begun, _LATER, taught, arguments.out / "course-2"))


if __name__ == "__main__":
    main()
