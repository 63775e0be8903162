"""Make a tiny cross-encoder, 2 layers and 128 wide, in a quarter of an hour of one CPU core.

Its first weights are built, not drawn (``reranker/training/beginning.py``), so some ten thousand
lists suffice: judged and made queries, each with BM25's near misses. An interrupted run goes on
where its last checkpoint was.

    python examples/make_tiny_model.py --data DATA --initial MINILM --out DIR

DATA holds nq-qed, squad, medquad and scifact in BEIR's layout; MINILM is all-MiniLM-L6-v2 (a folder
or its hub name), of which the words are taken. No dev or test question is trained on, and of
SciFact nothing but texts. How well it ranks: ``docs/model-notes.md``.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from tiny.lessons import draw_examples, read_texts

from reranker.training import Example, Recipe, Trainer, read_examples, start_from
from reranker.training.examples import write_examples
from reranker.training.trainer import Progress

_SEED = 12
_FIRST = Recipe(
    loss="softmax", epochs=1, batch_size=16, learning_rate=1e-3, head_rate=2e-3,
    freeze=("embeddings",), warmup=0.05, decay=0.6, dropout=0.0, max_length=96,
    save_every=10, log_every=10, seed=_SEED,
)  # fmt: skip
_LATER = replace(_FIRST, learning_rate=5e-4, head_rate=None, decay=0.9, max_length=192)
_COURSES = ((_FIRST, 2_400), (_LATER, 9_910))  # and how many lists each reads, once
_LONGEST = 320  # tokens a pair, of the model that is saved


def _examples(data: Path, out: Path) -> list[Example]:
    """Return the lists, in an order drawn by the seed, made once and kept."""
    kept = out / "examples.jsonl.gz"
    if not kept.exists():
        drawn = draw_examples(*read_texts(data, _SEED), _SEED)
        order = np.random.default_rng(_SEED).permutation(len(drawn))
        write_examples(kept, [drawn[row] for row in order])
    return read_examples(kept)


def _train(source: str | Path, course: Recipe, examples: list[Example], out: Path) -> Path:
    """Train on the examples, once; return the folder of what came of it."""
    if not (out / "model" / "config.json").exists():
        out.mkdir(exist_ok=True)
        new = {"layers": 2, "hidden": 128} if course is _FIRST else {}
        torch.manual_seed(_SEED)
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
    parser.add_argument("--initial", default="sentence-transformers/all-MiniLM-L6-v2")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=1, help="more only on a quiet machine")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(arguments.threads)
    examples = _examples(arguments.data, arguments.out)
    source, first = arguments.initial, 0
    for number, (course, count) in enumerate(_COURSES, 1):
        lists = examples[first : first + count]
        source = _train(source, course, lists, arguments.out / f"course-{number}")
        first += count
    print(source)


if __name__ == "__main__":
    main()
