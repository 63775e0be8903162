"""The table of the models that ship: BM25, each model and its fusion, on four judged collections.

    python benchmarks/models.py ../shared/data [--models NAME ...]
        [--sets scifact:test nfcorpus:test nq-qed:dev squad:dev] [--queries N] [--depth 100]
        [--precision fp32] [--keep FOLDER] [--json FILE]

Writes Markdown to standard output, progress to standard error. Differences are to BM25, with the
paired randomisation test, corrected (Holm) for a model and its fusion. ``--queries`` takes a random
sample of each set's judged queries (seed 12), and the table says so. A name such as
``twopass/tiny+twopass/default@30`` is a cascade: of BM25's hits the first model chooses 30 for the
second, and the fusion is of all three scores.

Everything that is done is kept in FOLDER (``models-table``): scores by pair and model, so that a
run that was interrupted, or one with more queries, goes on where that stopped. What was made with
other weights, depths or fusions is not taken for it.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from time import monotonic
from typing import Any

from setting import setting

from twopass import reranker
from twopass.pipeline.apps.assembly import build_fusion, build_scorer
from twopass.pipeline.apps.settings import Settings, load_settings
from twopass.pipeline.evaluation import Collection, collect, open_collection
from twopass.reranker import CrossEncoder
from twopass.retriever import BM25Index

SETS = ("scifact:test", "nfcorpus:test", "nq-qed:dev", "squad:dev")
MEASURES = ("nDCG@10", "MRR@10", "MAP", "Recall@100")
_EVERY = 20.0  # seconds between lines of progress


def shipped() -> list[str]:
    folder = Path(str(reranker.__file__)).parent / "models"
    models = [f"twopass/{config.parent.name}" for config in sorted(folder.glob("*/config.json"))]
    return [*models, "twopass/tiny+twopass/default@30"]


def choice(name: str) -> dict[str, Any]:
    """Return the settings that a name of the table stands for."""
    cheap, cascade, rest = name.partition("+")
    if not cascade:
        return {"reranker.model": name, "reranker.cascade.model": "none"}
    model, _, keep = rest.partition("@")
    return {
        "reranker.model": model,
        "reranker.cascade.model": cheap,
        "reranker.cascade.keep": int(keep),
    }


def measured(
    collection: Collection, index: BM25Index, model: str, settings: Settings, label: str
) -> dict[str, Any]:
    """Measure one model on one collection; what was scored before is read from the cache."""
    started, total, last = monotonic(), len(collection.qrels), [0.0]

    def told(done: int) -> None:
        now = monotonic()
        if done == total or now - last[0] > _EVERY:
            last[0] = now
            left = (now - started) / done * (total - done) / 60
            note(f"{label}: {done:,}/{total:,} queries, {left:.0f} min left")

    pool = collect(
        index,
        build_scorer(settings),
        collection.queries,
        collection.qrels,
        depth=settings.depth,
        progress=told,
    )
    method = settings.fusion.method
    evaluation = pool.evaluate(
        {method: build_fusion(settings)}, measures=MEASURES, names=("BM25", model)
    )
    return {
        "queries": total,
        "seconds": monotonic() - started,
        "systems": evaluation.rows(),
    }


def parts(args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Yield each set's figures by each model, from the folder where they are there already."""
    for name in args.sets:
        folder, _, split = name.partition(":")
        whole = open_collection(str(args.data / folder), split or "test")
        collection, index = whole.sample(args.queries), None
        for model in args.models:
            settings = load_settings(
                {
                    **choice(model),
                    "reranker.cache.folder": str(args.keep / "scores"),
                    "reranker.cache.folder_megabytes": 4000,
                    "reranker.precision": args.precision,
                    "depth": args.depth,
                }
            )
            mark = {
                "set": name,
                "model": model,
                "of": len(whole.qrels),
                "queries": len(collection.qrels),
                "depth": args.depth,
                "precision": args.precision,
                "weights": [
                    CrossEncoder(each, device="cpu").fingerprint
                    for each in model.partition("@")[0].split("+")
                ],
                "fusion": settings.fusion.model_dump(mode="json")
                | settings.fusion.parameters_for(settings.reranker.opinions),
            }
            kept = args.keep / f"{folder}-{split}-{model.replace('/', '-')}.json"
            found = json.loads(kept.read_text()) if kept.exists() else {}
            if found.get("mark") != mark:
                if index is None:
                    note(f"{name}: indexing")
                    index = BM25Index.build(collection.documents())
                found = {
                    "mark": mark,
                    **measured(collection, index, model, settings, f"{name}, {model}"),
                }
                kept.write_text(json.dumps(found))
            yield found


def table(found: Sequence[Mapping[str, Any]]) -> str:
    """Lay all out: rows by set and system; a last block has the means over the sets."""
    names = MEASURES[:-1]
    head = ["collection", "system", *(part for m in names for part in (m, "difference"))]
    lines = [*_head([*head, "p (nDCG@10)", "better / worse"])]
    by_set: dict[str, list[Mapping[str, Any]]] = {}
    for part in found:
        by_set.setdefault(part["mark"]["set"], []).append(part)
    for name, models in by_set.items():
        mark = models[0]["mark"]
        size = f"{mark['queries']:,} of {mark['of']:,}" if mark["queries"] < mark["of"] else ""
        title = f"{name.replace(':', ' ')}, {size or format(mark['of'], ',')} queries"
        for number, row in enumerate(_rows(models)):
            lines.append(_line([title if number == 0 else "", row["system"], *_cells(row, names)]))
    if len(by_set) > 1:
        for number, row in enumerate(_means(list(by_set.values()), names)):
            title = f"mean of {len(by_set)} sets" if number == 0 else ""
            lines.append(_line([title, row["system"], *_cells(row, names)]))
    return "\n".join(lines)


def _rows(models: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield BM25 once, then each model and its fusion."""
    for number, part in enumerate(models):
        for row in part["systems"]:
            baseline = row["system"] == "BM25"
            if baseline and number:
                continue
            fused = row["system"].startswith("fusion")
            yield {**row, "system": f"{part['mark']['model']} + BM25" if fused else row["system"]}


def _means(
    sets: Sequence[Sequence[Mapping[str, Any]]], names: Sequence[str]
) -> Iterator[dict[str, Any]]:
    for same in zip(*(list(_rows(models)) for models in sets), strict=True):
        row: dict[str, Any] = {"system": same[0]["system"]}
        for name in names:
            cells = [each[name] for each in same]
            row[name] = {
                key: None if cells[0][key] is None else sum(c[key] for c in cells) / len(cells)
                for key in ("value", "difference")
            } | {"p_value": None}
        yield row


def _cells(row: Mapping[str, Any], names: Sequence[str]) -> list[str]:
    cells: list[str] = []
    for name in names:
        apart = row[name]["difference"]
        cells += [f"{row[name]['value']:.4f}", "" if apart is None else f"{apart:+.4f}"]
    p, first = row[names[0]]["p_value"], row[names[0]]
    shown = "" if p is None else "< 0.001" if p < 0.001 else f"{p:.3f}"
    return [*cells, shown, "" if p is None else f"{first['wins']} / {first['losses']}"]


def _head(cells: Sequence[str]) -> list[str]:
    return [_line(cells), _line(["---", "---", *["---:"] * (len(cells) - 2)])]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def heading(args: argparse.Namespace) -> str:
    sample = "" if args.queries is None else f"; samples of {args.queries} queries, seed 12"
    return (
        f"BM25's top {args.depth} reranked, default settings{sample}, {args.precision}. "
        f"{setting('onnxruntime' if args.precision in ('fp32', 'int8') else 'torch')}. "
        "Differences to BM25; p: paired randomisation test, corrected (Holm) for a model and its "
        "fusion.\n"
    )


def note(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="the folder of the collections")
    parser.add_argument("--models", nargs="+", default=shipped())
    parser.add_argument("--sets", nargs="+", default=SETS, metavar="FOLDER:SPLIT")
    parser.add_argument("--queries", type=int, help="a sample of each set")
    parser.add_argument("--depth", type=int, default=100)
    parser.add_argument("--precision", default="fp32", help="reranker.precision, as bf16 or int8")
    parser.add_argument("--keep", type=Path, default=Path("models-table"))
    parser.add_argument("--json", type=Path, help="write all figures there as well")
    args = parser.parse_args()
    args.keep.mkdir(parents=True, exist_ok=True)
    found = list(parts(args))
    if args.json:
        args.json.write_text(json.dumps(found, indent=1))
    print(heading(args))
    print(table(found))


if __name__ == "__main__":
    main()
