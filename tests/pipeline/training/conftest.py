"""A folder in BEIR's layout: twelve towns, each with a text of its own and texts like it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

TOWNS = (
    *("Aldra", "Bormin", "Celdo", "Durvan", "Estrel", "Fenwick"),
    *("Galdo", "Hestia", "Ilmar", "Jorvik", "Keldon", "Lumen"),
)
FACTS = ("has a harbour and a fish market", "has a museum of clocks", "lies on a high mountain")


@pytest.fixture
def towns(tmp_path: Path) -> Path:
    folder = tmp_path / "towns"
    (folder / "qrels").mkdir(parents=True)
    documents = [
        {"_id": f"{town}-{at}", "title": town, "text": f"{town} {fact}."}
        for town in TOWNS
        for at, fact in enumerate(FACTS)
    ]
    queries = [
        {"_id": f"q{number}", "text": f"which town {fact.partition(' ')[2]}, {town}?"}
        for number, (town, fact) in enumerate((t, f) for t in TOWNS for f in FACTS[:2])
    ]
    judged = [
        (f"q{number}", f"{town}-{at}")
        for number, (town, at) in enumerate((t, a) for t in TOWNS for a in range(2))
    ]
    _lines(folder / "corpus.jsonl", documents)
    _lines(folder / "queries.jsonl", queries)
    for split, part in (("train", judged[:16]), ("dev", judged[16:])):
        rows = "".join(f"{query}\t{document}\t1\n" for query, document in part)
        (folder / "qrels" / f"{split}.tsv").write_text(f"query-id\tcorpus-id\tscore\n{rows}")
    return folder


def _lines(path: Path, records: list[dict[str, str]]) -> None:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
