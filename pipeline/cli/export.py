"""``twopass export`` and ``twopass import``: an index to Elasticsearch or OpenSearch, and back."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Any

from pipeline.cli.arguments import add_command, add_scoring, count, read_settings
from pipeline.cli.loading import load
from pipeline.cli.output import note, output
from pipeline.cli.progress import progress

__all__ = ["add_parser", "run_export", "run_import"]

_EXPORT = """\
  twopass export --index my-index > bulk.ndjson
  curl -H 'Content-Type: application/x-ndjson' --data-binary @bulk.ndjson SERVER/NAME/_bulk
  twopass export --index my-index --server http://localhost:9200 --name my-index
  twopass export --index my-index --server http://localhost:9200 --alias docs --remove-old
      a new index, docs-<time>; searches of docs find the old one until the new one is whole
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
    _add_making(parser)
    parser = add_command(
        commands, "import", help="build an index from a search server's", examples=_IMPORT
    )
    parser.set_defaults(run=run_import)
    _add_server(parser, required=True)
    parser.add_argument("--out", required=True, metavar="DIR", help="the index's folder")
    parser.add_argument("--overwrite", action="store_true", help="replace an index that is there")
    parser.add_argument("--analyzer", metavar="NAME", help="text to terms: english (default), ...")
    add_scoring(parser)


def _add_making(parser: ArgumentParser) -> None:
    parser.add_argument("--alias", metavar="NAME", help="new index, and this alias for it")
    parser.add_argument(
        "--remove-old", action="store_true", help="delete what the alias stood for before"
    )
    parser.add_argument(
        "--resume", action="store_true", help="go on where loading was interrupted; keep its part"
    )
    parser.add_argument("--shards", type=count, metavar="N", help="of the index there (1)")
    parser.add_argument("--replicas", type=int, metavar="N", help="further copies of each (0)")
    parser.add_argument("--analyzer", metavar="NAME", help="instead of the index's own")
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

    there = (arguments.name is not None) + (arguments.alias is not None)
    if arguments.server is not None and (there != 1 or arguments.out is not None):
        raise SettingsError(
            "--server: expected --name or --alias for the index there, and no --out"
        )
    if arguments.server is None and arguments.alias is not None:
        raise SettingsError("--alias: expected --server for the server that has it, found none")
    with BM25Index.open(arguments.index) as index:
        if arguments.server is None:
            with output(arguments.out) as out:
                written = export_bulk(index.documents(), out, index=arguments.name)
            note(f"{arguments.index}: {written:,} documents written")
        else:
            note(f"{arguments.server}: {load(arguments, index)}")


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
