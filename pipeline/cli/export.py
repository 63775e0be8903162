"""``twopass export`` and ``twopass import``: an index to Elasticsearch or OpenSearch, and back."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Any

from pipeline.cli.arguments import add_command, add_scoring, count, read_settings
from pipeline.cli.loading import load_corpus, load_index
from pipeline.cli.output import note, output
from pipeline.cli.progress import progress
from pipeline.cli.reading import add_reading

__all__ = ["add_parser", "run_export", "run_import"]

_EXPORT = """\
  twopass export --index my-index > bulk.ndjson
  curl -H 'Content-Type: application/x-ndjson' --data-binary @bulk.ndjson SERVER/NAME/_bulk
  twopass export --index my-index --server http://localhost:9200 --name my-index
  twopass export --index my-index --server http://localhost:9200 --alias docs --remove-old
      a new index, docs-<time>; searches of docs find the old one until the new one is whole
  twopass export --corpus corpus.jsonl --server http://localhost:9200 --alias docs
      documents straight into the server
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
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--index", metavar="DIR", help="the index's folder")
    what.add_argument(
        "--corpus", nargs="+", metavar="CORPUS", help="documents instead, as of 'twopass index'"
    )
    parser.add_argument("--out", metavar="FILE", help="for the bulk format (standard output)")
    _add_server(parser, required=False)
    _add_making(parser)
    add_reading(parser)
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
    _check(arguments)
    if arguments.corpus is not None:
        note(f"{arguments.server}: {load_corpus(arguments)}")
        return
    from retriever.bm25.index import BM25Index
    from retriever.export import export_bulk

    with BM25Index.open(arguments.index) as index:
        if arguments.server is None:
            with output(arguments.out) as out:
                written = export_bulk(index.documents(), out, index=arguments.name)
            note(f"{arguments.index}: {written:,} documents written")
        else:
            note(f"{arguments.server}: {load_index(arguments, index)}")


def _check(arguments: Namespace) -> None:
    """Tell of arguments that do not go together.

    Raises:
        SettingsError: when some do not.

    """
    from pipeline.errors import SettingsError

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
    """Build an index from all documents of a server's."""
    from pipeline.assembly import build_connection, build_index
    from retriever.export import import_from_server

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
