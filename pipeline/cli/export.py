"""``twopass export`` and ``twopass import``: an index to Elasticsearch or OpenSearch, and back."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.cli.arguments import add_command, add_scoring, read_settings
from pipeline.cli.output import note, output
from pipeline.cli.progress import progress

if TYPE_CHECKING:
    from retriever.elastic import LoadReport

__all__ = ["add_parser", "run_export", "run_import"]

_EXPORT = """\
  twopass export --index my-index > bulk.ndjson
  curl -H 'Content-Type: application/x-ndjson' --data-binary @bulk.ndjson SERVER/NAME/_bulk
  twopass export --index my-index --server http://localhost:9200 --name my-index
"""
_IMPORT = """\
  twopass import --server http://localhost:9200 --name my-index --out my-index
"""


def add_parser(commands: Any) -> None:
    """Add both commands."""
    parser = add_command(
        commands, "export", help="move an index to a search server", examples=_EXPORT
    )
    parser.set_defaults(run=run_export)
    parser.add_argument("--index", required=True, metavar="DIR", help="the index's folder")
    parser.add_argument("--out", metavar="FILE", help="for the bulk format (standard output)")
    _add_server(parser, required=False)
    parser = add_command(
        commands, "import", help="build an index from a search server's", examples=_IMPORT
    )
    parser.set_defaults(run=run_import)
    _add_server(parser, required=True)
    parser.add_argument("--out", required=True, metavar="DIR", help="the index's folder")
    parser.add_argument("--overwrite", action="store_true", help="replace an index that is there")
    parser.add_argument("--analyzer", metavar="NAME", help="text to terms: english (default), ...")
    add_scoring(parser)


def _add_server(parser: ArgumentParser, *, required: bool) -> None:
    parser.add_argument(
        "--server", required=required, metavar="URL", help="address; user and key by settings"
    )
    parser.add_argument("--name", required=required, metavar="NAME", help="of the index there")
    parser.add_argument(
        "--engine", choices=("elasticsearch", "opensearch"), default="elasticsearch"
    )


def run_export(arguments: Namespace) -> None:
    """Write the bulk format, or load the documents into a server."""
    from pipeline.errors import SettingsError
    from retriever.bm25.index import BM25Index
    from retriever.export import export_bulk

    with BM25Index.open(arguments.index) as index:
        if arguments.server is None:
            with output(arguments.out) as out:
                count = export_bulk(index.documents(), out, index=arguments.name)
            note(f"{arguments.index}: {count:,} documents written")
        elif arguments.name is None or arguments.out is not None:
            raise SettingsError("--server: expected --name for the index there, and no --out")
        else:
            report = _load(arguments, index)
            note(f"{arguments.server}: {report.loaded:,} documents in {arguments.name}")


def _load(arguments: Namespace, index: Any) -> LoadReport:
    from pipeline.build import build_connection
    from retriever.base import RefusedError
    from retriever.export import export_to_server

    connection = build_connection(read_settings(arguments), arguments.engine)
    try:
        with progress("exporting", "documents", len(index)) as done:
            report = export_to_server(index, connection, arguments.name, progress=done)
    finally:
        connection.close()
    if report.failed:
        id, reason = report.reasons[0]
        raise RefusedError(
            f"{arguments.name}: {report.failed:,} of {len(index):,} documents were refused, "
            f"the first, {id!r}: {reason}"
        )
    return report


def run_import(arguments: Namespace) -> None:
    """Build an index from all documents of a server's."""
    from pipeline.build import build_connection, build_index
    from retriever.export import import_from_server

    settings = read_settings(arguments)
    connection = build_connection(settings, arguments.engine)
    try:
        with progress("importing", "documents") as done:
            documents = import_from_server(connection, arguments.name)
            path, overwrite = Path(arguments.out), arguments.overwrite
            index = build_index(settings, documents, path, overwrite=overwrite, progress=done)
    finally:
        connection.close()
    note(f"{arguments.out}: {len(index):,} documents")
