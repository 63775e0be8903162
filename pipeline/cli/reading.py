"""Arguments that say how documents are read, and reading by them."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from typing import TYPE_CHECKING

from pipeline.cli.output import note

if TYPE_CHECKING:
    from retriever.corpus import SkipReport
    from retriever.documents import Document

__all__ = ["add_reading", "read_corpus", "tell_skipped"]


def add_reading(parser: ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument(
        "--format",
        choices=("jsonl", "csv", "tsv", "parquet", "beir"),
        help="by default each file's ending says it; standard input is jsonl",
    )
    for role, known in (("id", "_id, id"), ("text", "text, contents"), ("title", "title")):
        parser.add_argument(
            f"--{role}-field", metavar="NAME", help=f"field of the {role} (default: {known}, ...)"
        )
    parser.add_argument(
        "--on-error",
        choices=("stop", "skip"),
        default="stop",
        help="what to do about a bad record (default: stop)",
    )


def read_corpus(arguments: Namespace, report: SkipReport) -> Iterator[Document]:
    """Yield the documents of what ``corpus`` names; what is skipped goes into the report."""
    from retriever.corpus import FieldNames, read_documents

    return read_documents(
        arguments.corpus,
        format=arguments.format,
        fields=FieldNames(arguments.id_field, arguments.text_field, arguments.title_field),
        on_error=arguments.on_error,
        report=report,
    )


def tell_skipped(report: SkipReport) -> None:
    """Say what was left out."""
    if report.count:
        note(f"skipped {report.count:,} records, the first of them:")
        for case in report.cases:
            note(f"  {case}")
