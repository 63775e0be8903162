"""Spans of OpenTelemetry for requests and their stages; nothing where it is not installed.

Whoever starts the process says where spans go, by the SDK's own ways; without a provider they go
nowhere. Names and attributes of requests are those of the semantic conventions for HTTP servers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache
from importlib.metadata import version
from time import time_ns
from typing import TYPE_CHECKING, TypeAlias

from starlette.datastructures import Headers
from starlette.types import Scope

from twopass.pipeline.ranking import Ranking

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer

__all__ = ["Tell", "carried", "no_span", "prepare", "request", "search", "stage"]

Tell: TypeAlias = Callable[[dict[str, str | int]], None]
"""Adds attributes to a span."""


def no_span() -> AbstractContextManager[Tell]:
    """Open nothing, and tell it nothing."""
    return nullcontext(lambda _: None)


@contextmanager
def request(scope: Scope) -> Iterator[Tell]:
    """Open a request's span, a child of its ``traceparent`` if it has one, named by its route."""
    tracer = _tracer()
    if tracer is None:
        with no_span() as tell_nothing:
            yield tell_nothing
        return
    from opentelemetry.propagate import extract
    from opentelemetry.trace import SpanKind, StatusCode

    method = scope["method"]
    with tracer.start_as_current_span(
        method, extract(Headers(scope=scope)), SpanKind.SERVER, {"http.request.method": method}
    ) as span:

        def tell(attributes: dict[str, str | int]) -> None:
            span.set_attributes(attributes)
            if int(attributes.get("http.response.status_code", 0)) >= 500:
                span.set_status(StatusCode.ERROR)

        try:
            yield tell
        except Exception:
            tell({"http.response.status_code": 500})
            raise
        finally:  # which route it is, the router has found only now
            route = getattr(scope.get("route"), "path", "")
            if route:
                span.update_name(f"{method} {route}")
                span.set_attribute("http.route", route)


@contextmanager
def stage(name: str, **counts: int) -> Iterator[Tell]:
    """Open a stage's span, a child of the current one.

    Args:
        name: retrieval, rerank.
        counts: of what it works on, attributes ``twopass.NAME``.

    """
    tracer = _tracer()
    if tracer is None:
        with no_span() as tell:
            yield tell
        return
    with tracer.start_as_current_span(name, attributes=_named(counts)) as span:
        yield lambda attributes: span.set_attributes(_named(attributes))


def search(ranking: Ranking) -> None:
    """Add the spans of a search that has just ended, one a stage, of the times that it tells."""
    tracer = _tracer()
    if tracer is None:
        return
    took, status = ranking.timings, ranking.status
    stages: list[tuple[str, float, dict[str, str | int]]] = [
        ("retrieval", took.retrieval, {"candidates": status.candidates}),
        ("rerank", took.rerank, {"candidates": status.candidates, "scored": status.scored}),
        ("fusion", took.fusion, {"results": len(ranking)}),
    ]
    start = time_ns() - round(took.total * 1e9)
    for name, seconds, counts in stages:
        span = tracer.start_span(name, attributes=_named(counts), start_time=start)
        start += round(seconds * 1e9)
        span.end(start)


def carried(headers: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return a request's headers with the current span as the parent of what is asked by it."""
    if _tracer() is None:
        return headers
    from opentelemetry.propagate import inject

    ours: dict[str, str] = {}
    inject(ours)
    return [pair for pair in headers if pair[0] not in ours] + list(ours.items())


def prepare() -> None:
    """Import what there is, so that no request waits for it."""
    if _tracer() is not None:
        import opentelemetry.propagate  # noqa: F401


@cache
def _tracer() -> Tracer | None:
    try:
        from opentelemetry.trace import get_tracer
    except ImportError:
        return None
    return get_tracer("twopass", version("twopass"))


def _named(counts: dict[str, str | int] | dict[str, int]) -> dict[str, str | int]:
    return {f"twopass.{name}": value for name, value in counts.items()}
