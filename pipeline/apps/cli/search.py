"""``twopass search``: ranking out."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, TextIO

from twopass.pipeline.apps.cli.arguments import (
    FUSION_HELP,
    add_command,
    add_ranking,
    count,
    read_settings,
)
from twopass.pipeline.apps.cli.output import echo, note, output, progress
from twopass.pipeline.apps.cli.table import print_ranking

if TYPE_CHECKING:
    from twopass.pipeline.apps.settings import Settings
    from twopass.pipeline.ranking import Ranking
    from twopass.retriever.filters import Filter

__all__ = ["add_parser", "run"]

_EXAMPLES = """\
  twopass search --index my-index "can stress cause a heart attack?"
  twopass search --index my-index --json "shingles" | jq '.hits[].id'
  twopass search --index my-index --filter '{"range": {"year": {"gte": 2020}}}' "stroke"
  twopass search --index my-index --queries queries.jsonl --k 100 --out run.trec
  twopass search --index my-index --no-rerank -          queries from standard input, a line each
"""


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = add_command(commands, "search", help="search an index", examples=_EXAMPLES)
    parser.set_defaults(run=run)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("query", nargs="?", metavar="QUERY", help="or - for many, as --queries -")
    what.add_argument(
        "--queries", metavar="FILE", help="many: BEIR JSON Lines, 'id TAB text' or plain lines"
    )
    parser.add_argument("--index", metavar="DIR", help="the index's folder")
    parser.add_argument("--k", type=count, metavar="N", help="results a query (10)")
    add_ranking(parser)
    parser.add_argument("--fusion", metavar="METHOD", help=FUSION_HELP)
    parser.add_argument(
        "--deadline",
        type=float,
        metavar="SECONDS",
        help="score as many candidates as there is time for; the rest stays below",
    )
    parser.add_argument(
        "--min-score",
        type=float,
        metavar="P",
        help="only what is relevant with this probability (needs reranker.calibration)",
    )
    parser.add_argument("--filter", metavar="JSON", help='as {"term": {"lang": "en"}}')
    parser.add_argument("--json", action="store_true", help="JSON Lines, one object a query")
    parser.add_argument("--out", metavar="FILE", help="where many queries' results go")
    parser.add_argument("--tag", default="twopass", help="the run's name in a TREC run")


def run(arguments: Namespace) -> None:
    """Search and print: one query as a table, many as a TREC run, all as JSON if asked."""
    settings = read_settings(arguments)
    wanted = _filter(arguments.filter)
    if arguments.queries is None and arguments.query != "-":
        _one(arguments, settings, wanted)
    else:
        _many(arguments, settings, wanted)


def _one(arguments: Namespace, settings: Settings, wanted: Filter | None) -> None:
    from twopass.pipeline.apps.assembly import assemble_pipeline, build_retriever
    from twopass.pipeline.apps.cli.table import Snippets

    retriever = build_retriever(settings)
    pipeline = assemble_pipeline(retriever, settings, rerank=not arguments.no_rerank)
    ranking = pipeline.search(arguments.query, settings.k, filter=wanted)
    _tell(ranking.warnings)
    if arguments.json:
        echo(_to_json(ranking, query=arguments.query))
    elif len(ranking):
        print_ranking(ranking, Snippets(retriever, arguments.query))
        if ranking.status.outcome in ("partial", "failed"):
            note(f"twopass: {ranking.status.outcome} reranking: {ranking.status.reason}")
    else:
        note("nothing found")


def _many(arguments: Namespace, settings: Settings, wanted: Filter | None) -> None:
    from twopass.pipeline.apps.assembly import build_pipeline
    from twopass.pipeline.evaluation import entries, write_run
    from twopass.retriever.corpus import read_queries

    queries = read_queries(arguments.queries or "-")
    pipeline = build_pipeline(settings, rerank=not arguments.no_rerank)
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
    _tell(warnings)


def _tell(warnings: Iterable[str]) -> None:
    for warning in warnings:
        note(f"twopass: warning: {warning}")


def _progress(out: TextIO, total: int) -> AbstractContextManager[Callable[[int], None]]:
    """Draw a bar, unless the results themselves run over the terminal."""
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
