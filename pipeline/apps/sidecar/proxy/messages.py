"""HTTP messages of the proxy.

Headers that are passed on, request bodies, answers in Elasticsearch's shape.
"""

from __future__ import annotations

import base64
import gzip
import json
import zlib
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Mapping
from typing import Any

from fastapi import Request, Response

from twopass.pipeline.apps.settings.serve import ProxySettings

__all__ = [
    "Headers",
    "accepts_gzip",
    "answer_headers",
    "decompressed",
    "encoded",
    "error_body",
    "error_response",
    "json_object",
    "json_response",
    "read_body",
    "request_headers",
    "to_json",
    "with_body",
]


Headers = list[tuple[str, str]]

# RFC 9110, 7.6.1: these speak of one connection.
_HOP = {
    *("connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection"),
    *("te", "trailer", "transfer-encoding", "upgrade", "expect"),
}
# By these Elasticsearch knows who the caller is.
_WHO = {
    *("authorization", "cookie", "es-client-authentication", "es-secondary-authorization"),
    *("es-secondary-x-client-authentication", "x-client-authentication", "forwarded", "x-real-ip"),
    *("es-security-runas-user", "opendistro_security_impersonate_as"),
    *("opensearch_security_impersonate_as", "securitytenant", "x-proxy-user", "x-proxy-roles"),
}
_WHO_BEGINS = ("x-forwarded-", "x-remote-")
_OURS: tuple[str, ...] = ("x-twopass-", "x-api-key", "api-key")


def request_headers(headers: Iterable[tuple[str, str]], settings: ProxySettings) -> Headers:
    """Return a caller's headers for Elasticsearch, unchanged, except for who the caller is.

    With the sidecar's own credentials, nothing that the caller says of itself goes on.
    """
    listed = [(name.lower(), value) for name, value in headers]
    left_out = _HOP | _named(listed) | {"host", "content-length"}
    beginnings = _OURS
    if settings.credentials == "own":
        left_out |= _WHO
        beginnings += _WHO_BEGINS
    kept = [
        (name, value)
        for name, value in listed
        if name not in left_out and not name.startswith(beginnings)
    ]
    return [*kept, *_own(settings)]


def with_body(headers: Headers, kind: str) -> Headers:
    """Return the headers for a rewritten body, and an answer that is to be read."""
    left_out = {"content-encoding", "accept-encoding"}
    kept = [(name, value) for name, value in headers if name not in left_out]
    if "content-type" not in dict(kept):
        kept.append(("content-type", kind))
    return [*kept, ("accept-encoding", "identity")]


def answer_headers(headers: Iterable[tuple[str, str]], *, rewritten: bool = False) -> Headers:
    """Return Elasticsearch's headers for the caller.

    Args:
        headers: its own.
        rewritten: whether the body was read and rewritten.

    """
    listed = [(name.lower(), value) for name, value in headers]
    left_out = _HOP | _named(listed)
    if rewritten:
        left_out |= {"content-length", "content-encoding", "etag"}
    return [pair for pair in listed if pair[0] not in left_out]


def encoded(headers: Headers) -> list[tuple[bytes, bytes]]:
    """Write headers as a response holds them; a name may stand more than once."""
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]


def accepts_gzip(headers: Mapping[str, str]) -> bool:
    """Return whether the caller takes gzip."""
    taken = headers.get("accept-encoding", "").lower().replace(" ", "").split(",")
    return any(each.partition(";")[0] in ("gzip", "*") and ";q=0" not in each for each in taken)


def _named(headers: Headers) -> set[str]:
    """Return the names that a connection header lists as its own."""
    listed = [value for name, value in headers if name == "connection"]
    return {name.strip().lower() for value in listed for name in value.split(",")}


def _own(settings: ProxySettings) -> Headers:
    if settings.credentials != "own":
        return []
    if settings.api_key is not None:
        return [("authorization", f"ApiKey {settings.api_key.get_secret_value()}")]
    password = settings.password.get_secret_value() if settings.password else ""
    pair = base64.b64encode(f"{settings.username}:{password}".encode()).decode()
    return [("authorization", f"Basic {pair}")]


_GZIP = 31  # zlib's number for its header


async def read_body(request: Request, limit: int) -> bytes | AsyncIterable[bytes]:
    """Return the whole body, or where it is larger, an iterable of it that is still to be read."""
    parts: list[bytes] = []
    size = 0
    stream = request.stream()
    async for part in stream:
        parts.append(part)
        size += len(part)
        if size > limit:
            return _all_of(parts, stream)
    return b"".join(parts)


async def _all_of(parts: list[bytes], rest: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    for part in parts:
        yield part
    async for part in rest:
        yield part


def decompressed(content: bytes, encoding: str, limit: int) -> bytes | None:
    """Unpack a body; None where it is packed otherwise than by gzip, badly, or is too large."""
    if encoding in ("", "identity"):
        return content
    if encoding != "gzip":
        return None
    unpacking = zlib.decompressobj(_GZIP)
    try:
        plain = unpacking.decompress(content, limit)
    except zlib.error:
        return None
    return plain if unpacking.eof else None


def json_object(content: bytes) -> dict[str, Any] | None:
    """Read a JSON object, an empty body being an empty one; None where it is something else."""
    if not content.strip():
        return {}
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def to_json(value: Any) -> bytes:
    """Write JSON on one line."""
    return json.dumps(value, separators=(",", ":")).encode()


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
        pretty: whether the caller wants line breaks and indentation.

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
