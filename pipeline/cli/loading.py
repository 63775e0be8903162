"""``twopass export`` with a server: what is loaded, how, and what there is to say of it."""

from __future__ import annotations

from argparse import Namespace
from typing import TYPE_CHECKING, Any

from pipeline.cli.arguments import read_settings
from pipeline.cli.progress import progress

if TYPE_CHECKING:
    from pipeline.settings import Settings
    from retriever.elastic import LoadReport, Published

__all__ = ["load"]


def load(arguments: Namespace, index: Any) -> str:
    """Load into a server; return what is there now."""
    from pipeline.build import build_connection
    from retriever.export import export_to_alias, export_to_server

    settings = read_settings(arguments)
    making = _making(arguments, settings)
    connection = build_connection(settings, arguments.engine)
    try:
        with progress("exporting", "documents", len(index)) as done:
            if arguments.alias is None:
                report = export_to_server(
                    index, connection, arguments.name, progress=done, **making
                )
                return _taken(report, arguments.name)
            published = export_to_alias(
                index,
                connection,
                arguments.alias,
                remove_old=arguments.remove_old,
                progress=done,
                **making,
            )
    finally:
        connection.close()
    what = _taken(published.report, published.index)
    return f"{what}, which {arguments.alias} stands for now{_before(published)}"


def _making(arguments: Namespace, settings: Settings) -> dict[str, Any]:
    """Return how the index there is to be made; what is not said is as it is here."""
    from retriever.analysis import get_analyzer
    from retriever.base import ScoringError
    from retriever.elastic.mapping import server_analyzer
    from retriever.scoring import Lucene

    making: dict[str, Any] = {
        "shards": settings.retriever.shards,
        "replicas": settings.retriever.replicas,
        "resume": arguments.resume,
    }
    if arguments.analyzer is not None:
        making["analysis"] = server_analyzer(get_analyzer(arguments.analyzer))
    scoring = settings.retriever.scoring
    if scoring is not None:
        if not isinstance(scoring, Lucene):
            raise ScoringError(f"a server scores by 'lucene', not by {scoring.name!r}")
        making["scoring"] = scoring
    return making


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
