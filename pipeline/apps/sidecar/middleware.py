"""Around every request: its id, a line in the JSON log, its time in the metrics, a span."""

from __future__ import annotations

import json
import logging
import re
import sys
from contextlib import AbstractContextManager
from contextvars import ContextVar
from datetime import UTC, datetime
from time import perf_counter
from typing import Any, Literal
from uuid import uuid4

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from twopass.pipeline.apps.sidecar import tracing
from twopass.pipeline.apps.sidecar.metrics import Metrics

__all__ = [
    "REQUEST_ID",
    "JsonFormatter",
    "RequestMiddleware",
    "configure_logs",
]


REQUEST_ID: ContextVar[str] = ContextVar("request_id", default="")


class JsonFormatter(logging.Formatter):
    """A record as one line of JSON; what a call gives as ``extra={"about": {...}}`` joins it."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_about(record),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str).translate(_ESCAPED)


class _TextFormatter(logging.Formatter):
    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  (logging's name)
        about = " ".join(f"{name}={value}" for name, value in _about(record).items())
        return f"{super().formatMessage(record)} {about}".rstrip().translate(_ESCAPED)

    def formatException(self, ei: Any) -> str:  # noqa: N802  (logging's name)
        """Indent each line, so that none looks like the start of a record."""
        lines = super().formatException(ei).split("\n")
        return "\n".join(f"    {line.translate(_ESCAPED)}" for line in lines)


# What callers send is logged: characters that end a line, move a terminal's cursor or turn the
# direction of writing are written as JSON escapes them.
_CONTROLS = (*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029)
_DIRECTIONS = (*range(0x200E, 0x2010), *range(0x202A, 0x202F), *range(0x2066, 0x206A))
_ESCAPED = {code: f"\\u{code:04x}" for code in (*_CONTROLS, *_DIRECTIONS, *range(0xD800, 0xE000))}


def _about(record: logging.LogRecord) -> dict[str, Any]:
    about: dict[str, Any] = dict(getattr(record, "about", {}))
    return {"request_id": request_id, **about} if (request_id := REQUEST_ID.get()) else about


def configure_logs(style: Literal["auto", "json", "text"]) -> None:
    """Send the logs of ours and of the server to standard error, from INFO on."""
    formatter: logging.Formatter = JsonFormatter()
    if style == "text" or (style == "auto" and sys.stderr.isatty()):
        formatter = _TextFormatter("%(asctime)s %(levelname)s %(name)s %(message)s")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    for name in ("twopass", "uvicorn"):
        logging.getLogger(name).setLevel(logging.INFO)


_LOG = logging.getLogger(__name__)
_ID = re.compile(r"[\w.:/+=-]{1,128}", re.ASCII)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"})
_QUIET = ("/healthz", "/readyz", "/health", "/metrics")  # called every few seconds, by machines


class RequestMiddleware:
    """ASGI middleware; plain, so that a client that leaves is still seen by the routes."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics
        tracing.prepare()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get("x-request-id", "")
        request_id = given if _ID.fullmatch(given) else uuid4().hex
        status = 500

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["X-Request-Id"] = request_id
                set_attributes(_span_attributes(status, headers))
            await send(message)

        token = REQUEST_ID.set(request_id)
        started = perf_counter()
        self._metrics.active.inc()
        try:
            with _span(scope) as set_attributes:
                set_attributes({"twopass.request_id": request_id})
                await self._app(scope, receive, send_with_id)
        finally:
            self._metrics.active.dec()
            self._note(scope, status, perf_counter() - started)
            REQUEST_ID.reset(token)

    def _note(self, scope: Scope, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "none")  # the pattern: few values, no ids
        method = scope["method"] if scope["method"] in _METHODS else "other"  # callers make them up
        self._metrics.requests.labels(route, method, str(status)).observe(seconds)
        if route in _QUIET and status < 400:
            return
        about = {
            "method": method,
            "path": scope["path"],
            "status": status,
            "seconds": round(seconds, 6),
            "client": (scope.get("client") or ("",))[0],
        }
        _LOG.info("request", extra={"about": about})


def _span(scope: Scope) -> AbstractContextManager[tracing.SetAttributes]:
    return tracing.null_span() if scope["path"] in _QUIET else tracing.request(scope)


def _span_attributes(status: int, headers: Headers) -> dict[str, str | int]:
    """Return what a span says of an answer."""
    attributes: dict[str, str | int] = {"http.response.status_code": status}
    if "x-twopass-status" in headers:
        attributes["twopass.status"] = headers["x-twopass-status"]
    return attributes
