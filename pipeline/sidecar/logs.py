"""Logs for machines: one JSON object a line, with the id of the request that it is about."""

from __future__ import annotations

import json
import logging
import sys
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, Literal

__all__ = ["REQUEST_ID", "JsonFormatter", "configure_logs"]

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
        return json.dumps(line, ensure_ascii=False, default=str)


class _TextFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        about = " ".join(f"{name}={value}" for name, value in _about(record).items())
        return f"{super().format(record)} {about}".rstrip()


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
    for name in ("pipeline", "uvicorn"):
        logging.getLogger(name).setLevel(logging.INFO)
