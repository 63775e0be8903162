"""``twopass explain``: why a document has its score."""

from __future__ import annotations

import json
from argparse import Namespace
from typing import Any

from twopass.pipeline.apps.cli.arguments import add_command, add_syntax
from twopass.pipeline.apps.cli.output import echo

__all__ = ["add_parser", "run"]

_EXAMPLES = """\
  twopass explain --index my-index "can you catch shingles?" d7-0000062-8
  twopass explain --index my-index --syntax query '+shingles -vaccine "chickenpox virus"' doc-17
  twopass explain --index my-index --json "shingles" doc-17 | jq '.leaves[].contribution'
"""


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = add_command(
        commands, "explain", help="show why a document has its BM25 score", examples=_EXAMPLES
    )
    parser.set_defaults(run=run)
    parser.add_argument("query", metavar="QUERY", help="the query")
    parser.add_argument("id", metavar="ID", help="the document's id")
    parser.add_argument("--index", required=True, metavar="DIR", help="the index's folder")
    add_syntax(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(arguments: Namespace) -> None:
    """Print each term's statistics and contribution."""
    from twopass.retriever.errors import QueryError
    from twopass.retriever.index.index import BM25Index

    with BM25Index.open(arguments.index) as index:
        try:
            found = index.explain(arguments.query, arguments.id, syntax=arguments.syntax)
        except KeyError as error:
            raise QueryError(
                f"{arguments.index}: expected the id of a document, found {arguments.id!r}"
            ) from error
    echo(json.dumps(found.to_dict(), ensure_ascii=False) if arguments.json else str(found))
