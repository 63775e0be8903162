"""Judged collections by name: a BEIR folder, a NanoBEIR set, or an id of ir_datasets."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from twopass.pipeline.errors import EvaluationError
from twopass.pipeline.evaluation.measures import Qrels
from twopass.pipeline.evaluation.runs import Entries, Run
from twopass.reranker.telemetry import hugging_face_hub
from twopass.retriever.corpus.documents import Document

__all__ = ["Collection", "nano_folder", "of_ir_datasets", "open_collection"]

_IR_DATASETS = "irds:"
_NANO = re.compile(r"Nano[A-Za-z0-9]+")
_NANO_REPOSITORY = "sentence-transformers/{}-bm25"
_TIMEOUT = 5.0


@dataclass(frozen=True, slots=True, eq=False)
class Collection:
    """Documents, queries and judgements.

    Attributes:
        name: its name in tables.
        documents: returns an iterator over all documents.
        queries: texts by query id.
        qrels: the judgements.
        first: the first stage's run, if the collection has one.

    """

    name: str
    documents: Callable[[], Iterator[Document]]
    queries: Mapping[str, str]
    qrels: Qrels
    first: Run | None = None

    def sample(self, queries: int | None, *, seed: int = 12) -> Collection:
        """Return the collection with this number of random judged queries; None for all.

        With the same seed, a larger sample contains a smaller one.
        """
        if queries is None or queries >= len(self.qrels):
            return self
        order = sorted(self.qrels)
        Random(seed).shuffle(order)
        drawn = set(order[:queries])
        return replace(self, qrels={q: judged for q, judged in self.qrels.items() if q in drawn})


def open_collection(name: str, split: str = "test") -> Collection:
    """Open a collection.

    Args:
        name: a folder in BEIR's layout; a NanoBEIR name (``NanoMSMARCO``), from the hub or as a
            folder; or ``irds:`` and an id of ir_datasets, as ``irds:beir/scifact/test``.
        split: the qrels of a BEIR folder to use.

    Raises:
        EvaluationError: when there is no such collection, or it cannot be reached.
        CorpusError: when its files cannot be read.

    """
    folder = Path(name)
    if name.startswith(_IR_DATASETS):
        return _from_ir_datasets(name.removeprefix(_IR_DATASETS))
    if (folder / "relevance").is_dir():
        return nano_folder(folder)
    if folder.exists() or not _NANO.fullmatch(name):
        return _beir(folder, split)
    return nano_folder(_from_hub(name), name)


def _beir(folder: Path, split: str) -> Collection:
    from twopass.retriever.corpus import BeirFolder, read_documents, read_qrels, read_queries

    data = BeirFolder(folder)
    return Collection(
        folder.resolve().name,
        lambda: read_documents(data.corpus),
        read_queries(data.queries),
        read_qrels(data.qrels(split)),
    )


def nano_folder(folder: Path, name: str | None = None) -> Collection:
    """Read a NanoBEIR set as published by sentence-transformers.

    It is a folder with ``corpus``, ``queries`` and ``relevance``, with a Parquet file in each. The
    last contains, for each query, its relevant documents and BM25's ranking, which is the first
    stage in model cards.

    Raises:
        CorpusError: when a file cannot be read, or pyarrow is not installed.
        EvaluationError: when the judgements cannot be read.

    """
    from twopass.retriever.corpus import read_documents

    queries = read_documents(folder / "queries")
    qrels: dict[str, dict[str, int]] = {}
    ranked: dict[str, Entries] = {}
    for row in _relevance(folder / "relevance"):
        qrels[row["query-id"]] = dict.fromkeys(row["positive-corpus-ids"], 1)
        ranked[row["query-id"]] = _entries(row.get("bm25-ranked-ids") or [])
    return Collection(
        name or folder.resolve().name,
        lambda: read_documents(folder / "corpus"),
        {query.id: query.text for query in queries},
        qrels,
        ranked if all(len(each.ids) for each in ranked.values()) else None,
    )


def _relevance(folder: Path) -> list[dict[str, Any]]:
    try:
        import pyarrow
        from pyarrow.parquet import read_table
    except ImportError as error:
        raise EvaluationError(
            f"{folder}: reading Parquet needs pyarrow: pip install 'twopass[parquet]'"
        ) from error
    try:
        table = read_table(folder)
    except (OSError, pyarrow.ArrowException) as error:
        raise EvaluationError(f"{folder}: expected Parquet files, found: {error}") from error
    if missing := {"query-id", "positive-corpus-ids"} - set(table.column_names):
        raise EvaluationError(
            f"{folder}: expected the columns query-id and positive-corpus-ids, "
            f"found no {' and no '.join(sorted(missing))}"
        )
    rows: list[dict[str, Any]] = table.to_pylist()
    return rows


def _entries(ids: Iterable[str]) -> Entries:
    column = np.array(list(ids), dtype=object)
    return Entries(column, np.arange(len(column), 0, -1, dtype=np.float32))


def _from_hub(name: str) -> Path:
    repository = _NANO_REPOSITORY.format(name)
    try:
        folder: str = hugging_face_hub().snapshot_download(
            repository, repo_type="dataset", etag_timeout=_TIMEOUT
        )
        return Path(folder)
    except (OSError, ValueError) as error:
        raise EvaluationError(
            f"{name!r} is no folder, and could not be downloaded from the hub as "
            f"{repository} ({type(error.__cause__ or error).__name__}); with a network, "
            f"run 'hf download --repo-type dataset {repository} --local-dir {name}', then copy "
            "that folder here"
        ) from error


def _from_ir_datasets(id: str) -> Collection:
    try:
        import ir_datasets
    except ImportError as error:
        raise EvaluationError(
            f"irds:{id} needs ir_datasets: pip install 'twopass[ir-datasets]'"
        ) from error
    try:
        return of_ir_datasets(id, ir_datasets.load(id))
    except KeyError as error:
        raise EvaluationError(
            f"ir_datasets has no dataset {id!r}; its catalogue is at https://ir-datasets.com"
        ) from error
    except OSError as error:
        raise EvaluationError(
            f"ir_datasets could not fetch {id!r} ({error}); it needs a network the first time"
        ) from error


def of_ir_datasets(name: str, dataset: Any) -> Collection:
    """Read a dataset object of ir_datasets.

    Raises:
        EvaluationError: when documents, queries or judgements are missing.

    """
    missing = [
        part for part in ("docs", "queries", "qrels") if not getattr(dataset, f"has_{part}")()
    ]
    if missing:
        raise EvaluationError(
            f"expected documents, queries and judgements in irds:{name}, found no "
            f"{' and no '.join(missing)}; use a subset that has them, as irds:{name}/test"
        )
    qrels: dict[str, dict[str, int]] = {}
    for judgement in dataset.qrels_iter():
        qrels.setdefault(judgement.query_id, {})[judgement.doc_id] = int(judgement.relevance)
    return Collection(
        name,
        lambda: map(_document, dataset.docs_iter()),
        {query.query_id: query.default_text() for query in dataset.queries_iter()},
        qrels,
    )


def _document(record: Any) -> Document:
    title = getattr(record, "title", "") or ""
    text = getattr(record, "text", None)
    return Document(record.doc_id, record.default_text() if text is None else text, title=title)
