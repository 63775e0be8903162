"""``twopass demo``: index and search a small built-in collection."""

from __future__ import annotations

import os
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twopass.pipeline.apps.cli.arguments import (
    FUSION_HELP,
    add_command,
    add_ranking,
    count,
    read_settings,
)
from twopass.pipeline.apps.cli.output import echo, progress

if TYPE_CHECKING:
    from twopass.pipeline.apps.settings import Settings
    from twopass.retriever.index.index import BM25Index

__all__ = ["add_parser", "run"]

_EXAMPLES = """\
  twopass demo
  twopass demo "how is restless legs treated?"
  twopass demo --no-rerank            BM25 only, to compare
"""

_QUESTIONS = (
    "can you catch shingles from another person?",
    "can stress cause a heart attack?",
)

_ABOUT = """\
{documents:,} short health texts from MedQuAD (Ben Abacha & Demner-Fushman 2019, CC BY 4.0).
They show how the search works and are no medical advice.
"""

_NEXT = """\
Next: twopass demo "your own question"
      twopass search --index {index} --json "stroke"
      twopass evaluate --data {data} --index {index}
      twopass serve --index {index} -s serve.judged={data}
      twopass explain --index {index} "can you catch shingles?" d7-0000062-8
      twopass index YOUR-CORPUS --out my-index"""


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = add_command(
        commands, "demo", help="index and search a small built-in collection", examples=_EXAMPLES
    )
    parser.set_defaults(run=run)
    parser.add_argument("query", nargs="*", metavar="QUERY", help="your own questions")
    parser.add_argument("--k", type=count, default=5, metavar="N", help="results per query (5)")
    add_ranking(parser)
    parser.add_argument("--fusion", metavar="METHOD", help=FUSION_HELP)


def run(arguments: Namespace) -> None:
    """Index the collection and search it."""
    from twopass.pipeline.apps.assembly import assemble_pipeline
    from twopass.pipeline.apps.cli.table import Snippets, print_ranking
    from twopass.pipeline.apps.demo import FOLDER

    settings = read_settings(arguments)
    path = _cache() / "demo"
    index = _index(path, settings)
    pipeline = assemble_pipeline(index, settings, rerank=not arguments.no_rerank)
    echo(_ABOUT.format(documents=len(index)))
    for query in arguments.query or _QUESTIONS:
        echo(f"> {query}")
        print_ranking(pipeline.search(query, settings.k), Snippets(index, query))
        echo("")
    echo(_NEXT.format(index=path, data=FOLDER))


def _index(path: Path, settings: Settings) -> BM25Index:
    """Build the index again each time: it takes a second and always fits this version."""
    from twopass.pipeline.apps.assembly import build_index
    from twopass.pipeline.apps.demo import FOLDER
    from twopass.retriever.corpus import read_documents

    path.parent.mkdir(parents=True, exist_ok=True)
    with progress("indexing", "documents") as done:
        return build_index(settings, read_documents(FOLDER), path, overwrite=True, progress=done)


def _cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "twopass"
