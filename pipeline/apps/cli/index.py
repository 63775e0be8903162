"""``twopass index``: build or update an index."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable, Iterator
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, TypeAlias

from twopass.pipeline.apps.cli.arguments import (
    add_command,
    add_corpus_arguments,
    add_scoring,
    count,
    read_corpus,
    read_settings,
    report_skipped,
)
from twopass.pipeline.apps.cli.output import note, progress

if TYPE_CHECKING:
    from twopass.pipeline.apps.settings import Settings
    from twopass.retriever.corpus.documents import Document
    from twopass.retriever.index.index import BM25Index

__all__ = ["add_parser", "run"]

Done: TypeAlias = Callable[[int], None]

_EXAMPLES = """\
  twopass index corpus.jsonl --out my-index
  twopass index papers.csv --out my-index --id-field pmid --text-field abstract
  twopass index scifact/ --out my-index            a BEIR folder, or any folder of files
  twopass index corpus.jsonl --out my-index --tokens        tokenise once, rerank faster
  zcat dump.gz | twopass index - --out my-index --on-error skip
"""


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = add_command(
        commands, "index", help="build an index from documents", examples=_EXAMPLES
    )
    parser.set_defaults(
        run=run,
        advice={
            "IndexExistsError": "--overwrite replaces it, --update adds to it",
            "CorpusError": "--help shows how to name fields and how to skip bad records",
        },
    )
    parser.add_argument(
        *("corpus",), nargs="+", metavar="CORPUS", help="files, folders, or - for standard input"
    )
    parser.add_argument("--out", required=True, metavar="DIR", help="the index's folder")
    there = parser.add_mutually_exclusive_group()
    there.add_argument("--overwrite", action="store_true", help="replace an existing index")
    there.add_argument(
        "--update",
        action="store_true",
        help="add to an existing index; documents with known ids are replaced",
    )
    add_corpus_arguments(parser)
    parser.add_argument(
        "--analyzer", metavar="NAME", help="how text becomes terms: english (default), ..."
    )
    add_scoring(parser)
    parser.add_argument(
        "--tokens",
        nargs="?",
        const=True,
        metavar="MODEL",
        help="store the documents' token ids for this cross-encoder (default: the settings')",
    )
    parser.add_argument(
        "--embeddings", metavar="MODEL", help="store the documents' embeddings for a cascade"
    )
    parser.add_argument("--threads", type=count, metavar="N", help="threads for text analysis (1)")


def run(arguments: Namespace) -> None:
    """Build or update the index and print its size."""
    from twopass.retriever.corpus import SkipReport

    settings = read_settings(arguments)
    report = SkipReport()
    start = perf_counter()
    with progress("indexing", "documents") as done:
        documents = read_corpus(arguments, report)
        write = _update if arguments.update else _build
        info = write(arguments, settings, documents, done)
    _store(arguments, settings)
    report_skipped(report)
    _report(arguments.out, info, perf_counter() - start)


def _build(
    arguments: Namespace, settings: Settings, documents: Iterator[Document], done: Done
) -> dict[str, Any]:
    from twopass.pipeline.apps.assembly import build_index

    overwrite = arguments.overwrite
    index = build_index(
        settings, documents, Path(arguments.out), overwrite=overwrite, progress=done
    )
    index.warm()  # so that no search has to compile
    return index.info()


def _update(
    arguments: Namespace, _: Settings, documents: Iterator[Document], done: Done
) -> dict[str, Any]:
    from twopass.pipeline.errors import SettingsError
    from twopass.retriever.index.index import BM25Index

    given = (arguments.analyzer, arguments.scoring, arguments.k1, arguments.b)
    if any(value is not None for value in given):
        raise SettingsError(
            "--update keeps the index's analyzer and formula: do not pass them again"
        )
    with BM25Index.open(arguments.out) as index:
        index.update(documents, progress=done)
        return index.info()


def _store(arguments: Namespace, settings: Settings) -> None:
    """Store token ids and embeddings, if they are requested or were stored before."""
    from twopass.pipeline.apps.assembly.document_cache import (
        refresh_tokens,
        store_embeddings,
        store_tokens,
    )
    from twopass.retriever.index.index import BM25Index

    folder = Path(arguments.out)
    with BM25Index.open(folder) as index:
        if arguments.update:
            with progress("tokenising", "documents", len(index)) as done:
                refresh_tokens(index, folder, done)
            _refresh_embeddings(index, folder, settings)
        if arguments.tokens:
            with progress("tokenising", "documents", len(index)) as done:
                store_tokens(index, folder, _with_model(settings, arguments.tokens), done)
        if arguments.embeddings:
            with progress("embedding", "documents", len(index)) as done:
                store_embeddings(index, folder, _with_encoder(settings, arguments.embeddings), done)


def _refresh_embeddings(index: BM25Index, folder: Path, settings: Settings) -> None:
    """Embed new documents with each encoder that the index has embeddings of."""
    from twopass.pipeline.apps.assembly.document_cache import refresh_embeddings

    if not (folder / "embeddings").is_dir():
        return
    with progress("embedding", "documents", len(index)) as done:
        left = refresh_embeddings(index, folder, settings, done)
    for model in left:
        note(
            f"{model or 'an encoder'} is missing or has changed: new documents have no stored "
            "embeddings and are embedded in each search; --embeddings stores them"
        )


def _with_model(settings: Settings, model: str | bool) -> Settings:
    chosen = settings.reranker.model if model is True else model
    return settings.model_copy(
        update={"reranker": settings.reranker.model_copy(update={"model": chosen})}
    )


def _with_encoder(settings: Settings, model: str) -> Settings:
    cascade = settings.reranker.cascade.model_copy(update={"model": model})
    return settings.model_copy(
        update={"reranker": settings.reranker.model_copy(update={"cascade": cascade})}
    )


def _report(path: str, info: dict[str, Any], seconds: float) -> None:
    note(
        f"{path}: {info['documents']:,} documents, {info['terms']:,} terms, "
        f"{info['bytes'] / 1e6:,.1f} MB, {seconds:.1f} s"
    )
