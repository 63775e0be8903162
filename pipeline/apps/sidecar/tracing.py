"""Spans of OpenTelemetry for requests and their stages; nothing where it is not installed.

Whoever starts the process says where spans go, by the SDK's own ways; without a provider they go
nowhere. Names and attributes of requests are those of the semantic conventions for HTTP servers,
except what holds a search's words: FastAPI's own spans and those of OpenTelemetry's instrumentation
for FastAPI and httpx carry the query string, so they are not used here.
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

__all__ = [
    "SetAttributes",
    "null_span",
    "prepare",
    "request",
    "search",
    "stage",
    "with_trace_context",
]

SetAttributes: TypeAlias = Callable[[dict[str, str | int]], None]
"""Adds attributes to a span."""


def null_span() -> AbstractContextManager[SetAttributes]:
    """Open no span; attributes go nowhere."""
    return nullcontext(lambda _: None)


@contextmanager
def request(scope: Scope) -> Iterator[SetAttributes]:
    """Open a request's span, a child of its ``traceparent`` if it has one, named by its route."""
    tracer = _tracer()
    if tracer is None:
        with null_span() as ignore:
            yield ignore
        return
    from opentelemetry.propagate import extract
    from opentelemetry.trace import SpanKind, StatusCode

    method = scope["method"]
    with tracer.start_as_current_span(
        method, extract(Headers(scope=scope)), SpanKind.SERVER, {"http.request.method": method}
    ) as span:

        def set_attributes(attributes: dict[str, str | int]) -> None:
            span.set_attributes(attributes)
            if int(attributes.get("http.response.status_code", 0)) >= 500:
                span.set_status(StatusCode.ERROR)

        try:
            yield set_attributes
        except Exception:
            set_attributes({"http.response.status_code": 500})
            raise
        finally:  # which route it is, the router has found only now
            route = getattr(scope.get("route"), "path", "")
            if route:
                span.update_name(f"{method} {route}")
                span.set_attribute("http.route", route)


@contextmanager
def stage(name: str, **counts: int) -> Iterator[SetAttributes]:
    """Open a stage's span, a child of the current one.

    Args:
        name: retrieval, rerank.
        counts: of what it works on, attributes ``twopass.NAME``.

    """
    tracer = _tracer()
    if tracer is None:
        with null_span() as ignore:
            yield ignore
        return
    with tracer.start_as_current_span(name, attributes=_named(counts)) as span:
        yield lambda attributes: span.set_attributes(_named(attributes))


def search(ranking: Ranking) -> None:
    """Add the spans of a search that has just ended, one a stage, by its own timings."""
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


def with_trace_context(headers: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return headers for another server, with the current span as the parent of its spans."""
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
