"""Arguments that several commands share: settings, how documents are read, both stages."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from twopass.pipeline.apps.cli.output import note

if TYPE_CHECKING:
    from twopass.pipeline.apps.settings import Settings
    from twopass.retriever.corpus import SkipReport
    from twopass.retriever.corpus.documents import Document

__all__ = [
    "FUSION_HELP",
    "INDEX_HELP",
    "MODEL_HELP",
    "add_command",
    "add_corpus_arguments",
    "add_ranking",
    "add_scoring",
    "add_syntax",
    "count",
    "parse_setting",
    "read_corpus",
    "read_settings",
    "report_skipped",
]


def add_corpus_arguments(parser: ArgumentParser) -> None:
    """Add the arguments that describe how a corpus is read."""
    parser.add_argument(
        "--format",
        choices=("jsonl", "csv", "tsv", "parquet", "beir"),
        help="default: by each file's ending; standard input is jsonl",
    )
    for role, known in (("id", "_id, id"), ("text", "text, contents"), ("title", "title")):
        parser.add_argument(
            f"--{role}-field",
            metavar="NAME",
            help=f"the field with the {role} (default: {known}, ...)",
        )
    parser.add_argument(
        "--on-error",
        choices=("stop", "skip"),
        default="stop",
        help="what to do with a record that cannot be read (default: stop)",
    )


def read_corpus(arguments: Namespace, report: SkipReport) -> Iterator[Document]:
    """Yield the documents of the given corpus; skipped records are added to the report."""
    from twopass.retriever.corpus import FieldNames, read_documents

    return read_documents(
        arguments.corpus,
        format=arguments.format,
        fields=FieldNames(arguments.id_field, arguments.text_field, arguments.title_field),
        on_error=arguments.on_error,
        report=report,
    )


def report_skipped(report: SkipReport) -> None:
    """Print how many records were skipped, and the first of them."""
    if report.count:
        note(f"skipped {report.count:,} records, the first of them:")
        for case in report.cases:
            note(f"  {case}")


FUSION_HELP = "how both stages' scores are combined: weighted (default), reranker, rrf, ..."
INDEX_HELP = "an existing index of the corpus (default: build a temporary one)"
MODEL_HELP = "cross-encoder: a folder, or a name on the Hugging Face hub (twopass/default)"

# The setting that an argument of this name sets.
_SETTINGS = {
    "analyzer": "retriever.analyzer",
    "scoring": "retriever.formula",
    "k1": "retriever.k1",
    "b": "retriever.b",
    "threads": "retriever.threads",
    "index": "retriever.index",
    "server": "retriever.url",
    "shards": "retriever.shards",
    "replicas": "retriever.replicas",
    "model": "reranker.model",
    "fusion": "fusion.method",
    "depth": "depth",
    "k": "k",
    "host": "serve.host",
    "port": "serve.port",
    "workers": "serve.workers",
    "deadline": "deadline",
    "min_score": "min_score",
    "proxy": "proxy.url",
}


def add_command(commands: Any, name: str, *, help: str, examples: str) -> ArgumentParser:  # noqa: A002
    """Add a command's parser, with its examples and the general options."""
    parser: ArgumentParser = commands.add_parser(
        name,
        help=help,
        description=f"{help[0].upper()}{help[1:]}.",
        epilog=f"examples:\n{examples}",
    )
    group = parser.add_argument_group("general options")
    group.add_argument(
        "--config", metavar="FILE", help="read settings from this file (default: twopass.toml)"
    )
    group.add_argument(
        *("--set", "-s"),
        type=parse_setting,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        dest="assignments",
        help="change any setting, as fusion.weights=[0.3,0.7]; may be repeated",
    )
    group.add_argument("--debug", action="store_true", help="show tracebacks of errors")
    return parser


def add_scoring(parser: ArgumentParser) -> None:
    """Add the arguments of the BM25 formula."""
    parser.add_argument(
        "--scoring", metavar="NAME", help="BM25 formula: lucene (default), okapi, l or plus"
    )
    parser.add_argument("--k1", type=float, metavar="X", help="how slowly repeated terms saturate")
    parser.add_argument(
        "--b", type=float, metavar="X", help="how much a document's length counts, from 0 to 1"
    )


def add_syntax(parser: ArgumentParser) -> None:
    """Add the argument of how queries are read."""
    parser.add_argument(
        "--syntax",
        choices=("plain", "query", "lenient"),
        default="plain",
        help='plain words (default), or with +required -excluded "a phrase" and boost^2; '
        "lenient accepts mistakes in it",
    )


def add_ranking(parser: ArgumentParser) -> None:
    """Add the arguments of the second stage."""
    parser.add_argument(
        "--depth", type=count, metavar="N", help="candidates to rerank per query (100)"
    )
    parser.add_argument("--model", metavar="NAME", help=MODEL_HELP)
    parser.add_argument("--no-rerank", action="store_true", help="use the first stage only")


def read_settings(arguments: Namespace) -> Settings:
    """Read the settings: file, environment, ``--set`` and the arguments of the command."""
    from twopass.pipeline.apps.settings import load_settings

    given: dict[str, Any] = dict(arguments.assignments)
    for name, setting in _SETTINGS.items():
        if (value := getattr(arguments, name, None)) is not None:
            given[setting] = value
    return load_settings(given, config=arguments.config)


def count(text: str) -> int:
    """Parse a whole number of at least 1."""
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise ArgumentTypeError(f"expected a whole number of at least 1, found {text!r}")
    return int(text)


def parse_setting(text: str) -> tuple[str, Any]:
    """Parse a setting: ``NAME=VALUE``.

    Lists and tables are written as in TOML or JSON; other values stay text, whose meaning the
    setting knows.
    """
    name, equals, value = (part.strip() for part in text.partition("="))
    if not (name and equals):
        raise ArgumentTypeError(f"expected NAME=VALUE, found {text!r}")
    return name, _parsed(value) if value.startswith(("[", "{")) else value


def _parsed(value: str) -> Any:
    import json
    import tomllib

    try:
        return json.loads(value)
    except ValueError:
        try:
            return tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            return value
