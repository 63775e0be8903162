"""``twopass export`` with a server: what is loaded, how, and what there is to say of it."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from pipeline.cli.arguments import read_settings
from pipeline.cli.progress import progress
from pipeline.cli.reading import read_corpus, tell_skipped

if TYPE_CHECKING:
    from pipeline.settings import Settings
    from retriever.bm25.index import BM25Index
    from retriever.elastic import LoadReport, Published

__all__ = ["load_corpus", "load_index"]


def load_index(arguments: Namespace, index: BM25Index) -> str:
    """Load an index's documents into a server; return what is there now."""
    from retriever.export import export_to_alias, export_to_server

    settings = read_settings(arguments)
    options = _options(arguments, settings)
    by_alias, by_name = partial(export_to_alias, index), partial(export_to_server, index)
    return _load(arguments, settings, by_alias, by_name, options, len(index))


def load_corpus(arguments: Namespace) -> str:
    """Load documents into a server as they are read; return what is there now."""
    from retriever.analysis import get_analyzer
    from retriever.corpus import SkipReport
    from retriever.elastic import load_documents, publish_documents
    from retriever.elastic.mapping import server_analyzer

    settings = read_settings(arguments)
    analyzer = get_analyzer(settings.retriever.analyzer)
    options = {"analysis": server_analyzer(analyzer)} | _options(arguments, settings)
    skipped = SkipReport()
    options["documents"] = read_corpus(arguments, skipped)
    result = _load(arguments, settings, publish_documents, load_documents, options, None)
    tell_skipped(skipped)
    return result


def _load(
    arguments: Namespace,
    settings: Settings,
    by_alias: Callable[..., Published],
    by_name: Callable[..., LoadReport],
    options: dict[str, Any],
    total: int | None,
) -> str:
    from pipeline.assembly import build_connection

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
    """Return how the index there is to be made; what is not said is as it is here."""
    from retriever.analysis import get_analyzer
    from retriever.base import ScoringError
    from retriever.elastic.mapping import server_analyzer
    from retriever.scoring import Lucene

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
    """Say how many documents an index has.

    Raises:
        RefusedError: when the server refused some.

    """
    from retriever.base import RefusedError

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
