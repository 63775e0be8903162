"""Make the cross-encoder that ships as ``twopass/default``, by distillation on a CPU.

Two small retrieval encoders score candidate passages for queries of many kinds; a 6-layer BERT
that reads query and passage together learns their mean opinion, and people's judgements where
there are some. An interrupted run goes on where its last checkpoint was.

    python examples/distill_default_model.py --data DATA --models MODELS --initial MINILM --out DIR

DATA holds the collections in BEIR layout, MODELS the folders e5-small-v2 and bge-small-en-v1.5,
MINILM is all-MiniLM-L6-v2 (a folder or its hub name).
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from distill.lists import Lists, draw_lists, two_courses
from distill.queries import abstract_queries, made_queries, webbed
from distill.student import Recipe, Tokens, build_student, score_pairs, train
from distill.teachers import TEACHERS, embed
from distill.texts import Collection, Passage, Query
from distill.validation import VALIDATION, Task, load_task, ndcg
from transformers import AutoTokenizer

_COUNTS = {
    "squad": 2_500, "medquad": 1_200, "title": 2_400, "phrase": 1_200, "sentence": 800,
    "abstract": 240,
}  # fmt: skip
_COURSES = 3_200, 4_560  # lists before the abstracts are mixed in, and lists beside them


def _texts(root: Path, seed: int) -> tuple[list[Passage], list[Query], list[Query]]:
    """Return the passages and the queries of the first and of the second course."""
    rng = random.Random(seed)
    taken = Collection(root, rng)
    taken.nq(0.65)
    taken.squad(0.1, _COUNTS["squad"])
    taken.medquad(0.2, _COUNTS["medquad"])
    taken.abstracts("scifact", 0.6)
    made = made_queries(taken.passages, _COUNTS, rng)
    queries = [webbed(query, rng) for query in [*taken.queries, *made]]
    rng.shuffle(queries)
    return taken.passages, queries, abstract_queries(taken.passages, _COUNTS["abstract"], rng)


def _lists(
    passages: Sequence[Passage], queries: Sequence[Query], models: Path, out: Path, seed: int
) -> Lists:
    """Return one taught list for each query, made once and kept in ``out``."""
    path = out / f"lists-{seed}.npz"
    if not path.exists():
        asked, told = [q.text for q in queries], [p.text for p in passages]
        vectors = [
            (embed(folder, t, told, out), embed(folder, t, asked, out, queries=True))
            for t in TEACHERS
            for folder in [models / t.name.rpartition("/")[2]]
        ]
        told_vectors, asked_vectors = zip(*vectors, strict=True)
        draw_lists(passages, queries, told_vectors, asked_vectors, seed).save(path)
    return Lists.load(path)


def _scorer(model: Any, tokenizer: Any, task: Task, recipe: Recipe) -> Any:
    """Return a function that scores the task's pairs, their token ids cut once."""
    texts = {text: row for row, text in enumerate({t: 0 for c in task.candidates for _, t in c})}
    asked = {text: row for row, text in enumerate(dict.fromkeys(task.queries))}
    tokens = Tokens(tokenizer, list(asked), list(texts), recipe)
    return lambda pairs: score_pairs(model, tokens, [(asked[q], texts[t]) for q, t in pairs])


_LEFTOVERS = (
    "is_local", "local_files_only", "max_length", "never_split", "pad_to_multiple_of",
    "pad_token_type_id", "stride", "truncation_strategy",
)  # fmt: skip


def _save(model: Any, tokenizer: Any, out: Path) -> None:
    """Write the folder that ships: fp16 weights, configuration, tokenizer."""
    model.config.id2label, model.config.label2id = {0: "relevance"}, {"relevance": 0}
    model.config.hidden_dropout_prob = model.config.attention_probs_dropout_prob = 0.1
    model.config.sentence_transformers = {
        "version": "5.0.0",
        "activation_fn": "torch.nn.modules.linear.Identity",
    }
    model.half().save_pretrained(out)
    _edit(out / "config.json", dtype="float32")  # stored as fp16, to be run as fp32
    tokenizer.backend_tokenizer.no_truncation()  # the encoder's was at 128 tokens
    tokenizer.backend_tokenizer.no_padding()
    tokenizer.save_pretrained(out)
    _edit(out / "tokenizer_config.json", **dict.fromkeys(_LEFTOVERS))
    (out / "model.safetensors").chmod(0o644)


def _edit(path: Path, **changes: Any) -> None:
    """Change a JSON file's keys; None removes one."""
    entries = json.loads(path.read_text()) | changes
    kept = {name: e for name, e in entries.items() if e is not None or name not in changes}
    path.write_text(json.dumps(kept, indent=2) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--initial", default="sentence-transformers/all-MiniLM-L6-v2")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=Recipe().steps)
    parser.add_argument("--threads", type=int, default=1, help="more only on a quiet machine")
    parser.add_argument("--every", type=int, default=500, help="steps between validations")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(arguments.threads)
    recipe = Recipe(steps=arguments.steps)

    passages, queries, extra = _texts(arguments.data, recipe.seed)
    first = _lists(passages, queries, arguments.models, arguments.out, recipe.seed)
    second = _lists(passages, extra, arguments.models, arguments.out, recipe.seed + 1)
    second = replace(second, query=second.query + len(queries))
    lists = two_courses(first, second, *_COURSES, recipe.seed)
    queries += extra
    tokenizer = AutoTokenizer.from_pretrained(arguments.initial)
    model = build_student(arguments.initial)
    tokens = Tokens(tokenizer, [q.text for q in queries], [p.text for p in passages], recipe)

    def validate() -> dict[str, float]:
        tasks = [load_task(arguments.data, *spec) for spec in VALIDATION]
        return {t.name: round(ndcg(t, _scorer(model, tokenizer, t, recipe)), 4) for t in tasks}

    train(model, tokens, lists, recipe, arguments.out, validate, arguments.every)
    _save(model, tokenizer, arguments.out / "model")


if __name__ == "__main__":
    main()
