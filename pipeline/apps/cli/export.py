"""``twopass export`` and ``twopass import``: copy an index to a search server, and back."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twopass.pipeline.apps.cli.arguments import (
    add_command,
    add_corpus_arguments,
    add_scoring,
    count,
    read_corpus,
    read_settings,
    report_skipped,
)
from twopass.pipeline.apps.cli.output import note, output, progress

if TYPE_CHECKING:
    from twopass.pipeline.apps.settings import Settings
    from twopass.retriever.elastic import LoadReport, Published
    from twopass.retriever.index.index import BM25Index

__all__ = [
    "add_parser",
    "load_corpus",
    "load_index",
    "run_export",
    "run_import",
]


def load_index(arguments: Namespace, index: BM25Index) -> str:
    """Load an index's documents into a server; return a summary."""
    from twopass.retriever.elastic.transfer import export_to_alias, export_to_server

    settings = read_settings(arguments)
    options = _options(arguments, settings)
    by_alias, by_name = partial(export_to_alias, index), partial(export_to_server, index)
    return _load(arguments, settings, by_alias, by_name, options, len(index))


def load_corpus(arguments: Namespace) -> str:
    """Load documents into a server as they are read; return a summary."""
    from twopass.retriever.analysis import get_analyzer
    from twopass.retriever.corpus import SkipReport
    from twopass.retriever.elastic import load_documents, publish_documents
    from twopass.retriever.elastic.remote_index import server_analyzer

    settings = read_settings(arguments)
    analyzer = get_analyzer(settings.retriever.analyzer)
    options = {"analysis": server_analyzer(analyzer)} | _options(arguments, settings)
    skipped = SkipReport()
    options["documents"] = read_corpus(arguments, skipped)
    result = _load(arguments, settings, publish_documents, load_documents, options, None)
    report_skipped(skipped)
    return result


def _load(
    arguments: Namespace,
    settings: Settings,
    by_alias: Callable[..., Published],
    by_name: Callable[..., LoadReport],
    options: dict[str, Any],
    total: int | None,
) -> str:
    from twopass.pipeline.apps.assembly import build_connection

    connection = build_connection(settings, arguments.engine)
    try:
        with progress("exporting", "documents", total) as done:
            options["progress"] = done
            if arguments.alias is None:
                return _taken(by_name(connection, arguments.name, **options), arguments.name)
            old = arguments.remove_old
            published = by_alias(connection, arguments.alias, remove_old=old, **options)
    finally:
        connection.close()
    what = _taken(published.report, published.index)
    return f"{what}, which {arguments.alias} stands for now{_before(published)}"


def _options(arguments: Namespace, settings: Settings) -> dict[str, Any]:
    """Return the options of the new index; by default as the index here."""
    from twopass.retriever.analysis import get_analyzer
    from twopass.retriever.elastic.remote_index import server_analyzer
    from twopass.retriever.errors import ScoringError
    from twopass.retriever.scoring import Lucene

    options: dict[str, Any] = {
        "shards": settings.retriever.shards,
        "replicas": settings.retriever.replicas,
        "resume": arguments.resume,
    }
    if arguments.analyzer is not None:
        options["analysis"] = server_analyzer(get_analyzer(arguments.analyzer))
    scoring = settings.retriever.scoring
    if scoring is not None:
        if not isinstance(scoring, Lucene):
            raise ScoringError(f"a server scores by 'lucene', not by {scoring.name!r}")
        options["scoring"] = scoring
    return options


def _taken(report: LoadReport, name: str) -> str:
    """Return how many documents were loaded.

    Raises:
        RefusedError: when the server refused some.

    """
    from twopass.retriever.errors import RefusedError

    if report.failed:
        id, reason = report.reasons[0]
        total = report.loaded + report.failed
        raise RefusedError(
            f"{name}: {report.failed:,} of {total:,} documents were refused, "
            f"the first, {id!r}: {reason}"
        )
    had = f", {report.there:,} of them from before" if report.there else ""
    return f"{report.loaded:,} documents in {name}{had}"


def _before(published: Published) -> str:
    if not published.replaced:
        return ""
    gone = set(published.removed)
    old = [f"{name} ({'removed' if name in gone else 'kept'})" for name in published.replaced]
    return f"; before, for {', '.join(old)}"


_EXPORT = """\
  twopass export --index my-index > bulk.ndjson
  curl -H 'Content-Type: application/x-ndjson' --data-binary @bulk.ndjson SERVER/NAME/_bulk
  twopass export --index my-index --server http://localhost:9200 --name my-index
  twopass export --index my-index --server http://localhost:9200 --alias docs --remove-old
      a new index, docs-<time>; searches of docs use the old one until the new one is complete
  twopass export --corpus corpus.jsonl --server http://localhost:9200 --alias docs
      loads documents into the server, without an index here
"""
_IMPORT = """\
  twopass import --server http://localhost:9200 --name my-index --out my-index
"""


def add_parser(commands: Any) -> None:
    """Add both commands."""
    parser = add_command(
        commands, "export", help="copy an index to Elasticsearch or OpenSearch", examples=_EXPORT
    )
    parser.set_defaults(run=run_export)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--index", metavar="DIR", help="the index's folder")
    what.add_argument(
        "--corpus",
        nargs="+",
        metavar="CORPUS",
        help="corpus files instead of an index, as for 'twopass index'",
    )
    parser.add_argument(
        "--out", metavar="FILE", help="file for the bulk format (default: standard output)"
    )
    _add_server(parser, required=False)
    _add_making(parser)
    add_corpus_arguments(parser)
    parser = add_command(
        commands,
        "import",
        help="build an index from one on Elasticsearch or OpenSearch",
        examples=_IMPORT,
    )
    parser.set_defaults(run=run_import)
    _add_server(parser, required=True)
    parser.add_argument("--out", required=True, metavar="DIR", help="the index's folder")
    parser.add_argument("--overwrite", action="store_true", help="replace an existing index")
    parser.add_argument(
        "--analyzer", metavar="NAME", help="how text becomes terms: english (default), ..."
    )
    add_scoring(parser)


def _add_making(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--alias", metavar="NAME", help="create a new index and point this alias to it"
    )
    parser.add_argument(
        "--remove-old",
        action="store_true",
        help="delete the index that the alias pointed to before",
    )
    parser.add_argument("--resume", action="store_true", help="continue an interrupted load")
    parser.add_argument("--shards", type=count, metavar="N", help="shards of the new index (1)")
    parser.add_argument("--replicas", type=int, metavar="N", help="replicas of each shard (0)")
    parser.add_argument(
        "--analyzer", metavar="NAME", help="analyzer on the server (default: the index's own)"
    )
    add_scoring(parser)


def _add_server(parser: ArgumentParser, *, required: bool) -> None:
    parser.add_argument(
        "--server",
        required=required,
        metavar="URL",
        help="the server's address; credentials are settings (retriever.api_key, ...)",
    )
    parser.add_argument(
        "--name", required=required, metavar="NAME", help="the index's name on the server"
    )
    parser.add_argument(
        "--engine", choices=("elasticsearch", "opensearch"), default="elasticsearch"
    )


def run_export(arguments: Namespace) -> None:
    """Write the bulk format, or load the documents into a server."""
    _check(arguments)
    if arguments.corpus is not None:
        note(f"{arguments.server}: {load_corpus(arguments)}")
        return
    from twopass.retriever.elastic.transfer import export_bulk
    from twopass.retriever.index.index import BM25Index

    with BM25Index.open(arguments.index) as index:
        if arguments.server is None:
            with output(arguments.out) as out:
                written = export_bulk(index.documents(), out, index=arguments.name)
            note(f"{arguments.index}: {written:,} documents written")
        else:
            note(f"{arguments.server}: {load_index(arguments, index)}")


def _check(arguments: Namespace) -> None:
    """Check that the arguments go together.

    Raises:
        SettingsError: when some do not.

    """
    from twopass.pipeline.errors import SettingsError

    there = (arguments.name is not None) + (arguments.alias is not None)
    if arguments.server is not None and (there != 1 or arguments.out is not None):
        raise SettingsError(
            "--server: expected either --name or --alias for the index there, and no --out"
        )
    for name in ("alias", "corpus"):
        if arguments.server is None and getattr(arguments, name) is not None:
            raise SettingsError(f"--{name}: expected --server as well, found none")
    if arguments.remove_old and arguments.alias is None:
        raise SettingsError("--remove-old: expected --alias, whose index is to go, found none")


def run_import(arguments: Namespace) -> None:
    """Build an index from all documents of one on a server."""
    from twopass.pipeline.apps.assembly import build_connection, build_index
    from twopass.retriever.elastic.transfer import import_from_server

    settings = read_settings(arguments)
    connection = build_connection(settings, arguments.engine)
    try:
        with progress("importing", "documents") as done:
            documents = import_from_server(
                connection,
                arguments.name,
                fields=settings.retriever.index_fields,
                routing=settings.retriever.routing,
            )
            path, overwrite = Path(arguments.out), arguments.overwrite
            index = build_index(settings, documents, path, overwrite=overwrite, progress=done)
    finally:
        connection.close()
    note(f"{arguments.out}: {len(index):,} documents")
