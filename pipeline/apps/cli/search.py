"""``twopass search``: search an index, by one query or many."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TextIO

from twopass.pipeline.apps.cli.arguments import (
    FUSION_HELP,
    add_command,
    add_ranking,
    add_syntax,
    count,
    read_settings,
)
from twopass.pipeline.apps.cli.output import echo, note, output, progress
from twopass.pipeline.apps.cli.table import print_ranking

if TYPE_CHECKING:
    from twopass.pipeline.apps.settings import Settings
    from twopass.pipeline.ranking import Ranking
    from twopass.retriever import Retriever
    from twopass.retriever.corpus.documents import Document
    from twopass.retriever.filters import Filter
    from twopass.retriever.hits import Hits
    from twopass.retriever.index.index import BM25Index
    from twopass.retriever.query.language import Syntax

__all__ = ["add_parser", "run"]

_EXAMPLES = """\
  twopass search --index my-index "can stress cause a heart attack?"
  twopass search --index my-index --json "shingles" | jq '.hits[].id'
  twopass search --index my-index --filter '{"range": {"year": {"gte": 2020}}}' "stroke"
  twopass search --index my-index --queries queries.jsonl --k 100 --out run.trec
  twopass search --index my-index --no-rerank -          queries from standard input, one per line
"""


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = add_command(commands, "search", help="search an index", examples=_EXAMPLES)
    parser.set_defaults(run=run)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "query", nargs="?", metavar="QUERY", help="the query; - reads queries from standard input"
    )
    what.add_argument(
        "--queries",
        metavar="FILE",
        help="a file of queries: BEIR JSON Lines, 'id TAB text', or one per line",
    )
    parser.add_argument("--index", metavar="DIR", help="the index's folder")
    add_syntax(parser)
    parser.add_argument("--k", type=count, metavar="N", help="results per query (10)")
    add_ranking(parser)
    parser.add_argument("--fusion", metavar="METHOD", help=FUSION_HELP)
    parser.add_argument(
        "--deadline",
        type=float,
        metavar="SECONDS",
        help="time limit: candidates not reranked in time stay below the others",
    )
    parser.add_argument(
        "--min-score",
        type=float,
        metavar="P",
        help="only documents relevant with this probability (needs reranker.calibration)",
    )
    parser.add_argument(
        "--filter", metavar="JSON", help='only matching documents, as {"term": {"lang": "en"}}'
    )
    parser.add_argument("--json", action="store_true", help="JSON Lines, one object per query")
    parser.add_argument(
        "--out", metavar="FILE", help="write the results of many queries to this file"
    )
    parser.add_argument(
        "--tag", default="twopass", help="the run's name in the TREC file (twopass)"
    )


def run(arguments: Namespace) -> None:
    """Search and print: one query as a table, many as a TREC run, both optionally as JSON."""
    settings = read_settings(arguments)
    wanted = _filter(arguments.filter)
    if arguments.queries is None and arguments.query != "-":
        _one(arguments, settings, wanted)
    else:
        _many(arguments, settings, wanted)


def _one(arguments: Namespace, settings: Settings, wanted: Filter | None) -> None:
    from twopass.pipeline.apps.assembly import assemble_pipeline
    from twopass.pipeline.apps.cli.table import Snippets

    retriever = _retriever(settings, arguments.syntax)
    pipeline = assemble_pipeline(retriever, settings, rerank=not arguments.no_rerank)
    ranking = pipeline.search(arguments.query, settings.k, filter=wanted)
    _print_warnings(ranking.warnings)
    if arguments.json:
        echo(_to_json(ranking, query=arguments.query))
    elif len(ranking):
        print_ranking(ranking, Snippets(retriever, arguments.query))
        if ranking.status.outcome in ("partial", "failed"):
            note(f"twopass: {ranking.status.outcome} reranking: {ranking.status.reason}")
    else:
        note("nothing found")


def _many(arguments: Namespace, settings: Settings, wanted: Filter | None) -> None:
    from twopass.pipeline.apps.assembly import assemble_pipeline
    from twopass.pipeline.evaluation import entries, write_run
    from twopass.retriever.corpus import read_queries

    queries = read_queries(arguments.queries or "-")
    retriever = _retriever(settings, arguments.syntax)
    pipeline = assemble_pipeline(retriever, settings, rerank=not arguments.no_rerank)
    rankings = pipeline.stream(list(queries.values()), settings.k, filter=wanted)
    warnings: dict[str, None] = {}  # each once, in order
    with output(arguments.out) as out, _progress(out, len(queries)) as done:
        results = zip(queries.items(), rankings, strict=True)
        for number, ((id, query), ranking) in enumerate(results, 1):
            if arguments.json:
                echo(_to_json(ranking, query_id=id, query=query), out)
            else:
                write_run(out, {id: entries(ranking)}, arguments.tag)
            warnings |= dict.fromkeys(ranking.warnings)
            done(number)
    _print_warnings(warnings)


@dataclass(frozen=True, slots=True)
class _WithSyntax:
    """An index whose queries have operators; the second stage reads them as they are written."""

    index: BM25Index
    syntax: Syntax

    def search(self, queries: Sequence[str], k: int, *, filter: Filter | None = None) -> list[Hits]:
        return self.index.search(queries, k, filter=filter, syntax=self.syntax)

    def get(self, id: str) -> Document:
        return self.index.get(id)

    def highlight(self, query: str, text: str, **options: Any) -> list[str]:
        return self.index.highlight(query, text, syntax=self.syntax, **options)


def _retriever(settings: Settings, syntax: Syntax) -> Retriever:
    """Open the first stage, to read queries in a syntax.

    Raises:
        SettingsError: when the retriever is no index that knows the syntax.

    """
    from twopass.pipeline.apps.assembly import build_retriever
    from twopass.pipeline.errors import SettingsError
    from twopass.retriever.index.index import BM25Index

    retriever = build_retriever(settings)
    if syntax == "plain":
        return retriever
    if not isinstance(retriever, BM25Index):
        raise SettingsError(
            f"--syntax {syntax}: expected retriever.kind bm25, found {settings.retriever.kind}"
        )
    return _WithSyntax(retriever, syntax)


def _print_warnings(warnings: Iterable[str]) -> None:
    for warning in warnings:
        note(f"twopass: warning: {warning}")


def _progress(out: TextIO, total: int) -> AbstractContextManager[Callable[[int], None]]:
    """Show a progress bar, unless the results are printed on the terminal."""
    if out.isatty():
        return nullcontext(lambda _: None)
    return progress("searching", "queries", total)


def _to_json(ranking: Ranking, **about: str) -> str:
    from dataclasses import asdict

    record = {
        **about,
        "status": asdict(ranking.status),
        "warnings": list(ranking.warnings),
        "seconds": asdict(ranking.timings),
        "hits": ranking.to_dicts(),
    }
    return json.dumps(record, ensure_ascii=False)


def _filter(text: str | None) -> Filter | None:
    from twopass.retriever.errors import QueryError
    from twopass.retriever.filters import parse_filter

    if text is None:
        return None
    try:
        return parse_filter(json.loads(text))
    except json.JSONDecodeError as error:
        raise QueryError(f"--filter: expected JSON, found {text!r:.80}: {error}") from error
