"""Answers in Elasticsearch's own shape: errors, and JSON as its clients read it."""

from __future__ import annotations

import gzip
import json
from typing import Any

from fastapi import Response

from pipeline.sidecar.proxy.headers import Headers, encoded

__all__ = ["error_body", "error_response", "json_response"]

_SMALL = 1400  # bytes: fits one packet, so that packing it gains nothing


def error_body(kind: str, reason: str, status: int) -> dict[str, Any]:
    """Return an error as Elasticsearch words its own."""
    cause = {"type": kind, "reason": reason}
    return {"error": {"root_cause": [cause], **cause}, "status": status}


def error_response(kind: str, reason: str, status: int) -> Response:
    """Answer with an error of this proxy's; official clients take it for Elasticsearch's."""
    headers = [("x-elastic-product", "Elasticsearch"), ("x-twopass-status", "refused")]
    return json_response(error_body(kind, reason, status), status, headers)


def json_response(
    content: Any,
    status: int,
    headers: Headers,
    *,
    packed: bool = False,
    pretty: bool = False,
) -> Response:
    """Answer with JSON.

    Args:
        content: what to answer.
        status: of HTTP.
        headers: their names in lower case.
        packed: whether the caller takes gzip.
        pretty: whether the caller asked for lines.

    """
    body = json.dumps(
        content, indent=2 if pretty else None, separators=None if pretty else (",", ":")
    ).encode()
    found = [*headers]
    if "content-type" not in dict(found):
        found.append(("content-type", "application/json"))
    if packed and len(body) > _SMALL:
        body = gzip.compress(body, compresslevel=1)
        found += [("content-encoding", "gzip"), ("vary", "accept-encoding")]
    response = Response(body, status)
    response.raw_headers = encoded([*found, ("content-length", str(len(body)))])
    return response
