"""Bodies of requests: read as far as allowed, unpacked, and as JSON."""

from __future__ import annotations

import json
import zlib
from collections.abc import AsyncIterable, AsyncIterator
from typing import Any

from fastapi import Request

__all__ = ["as_object", "dumped", "read_body", "unpacked"]

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


def unpacked(content: bytes, encoding: str, limit: int) -> bytes | None:
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


def as_object(content: bytes) -> dict[str, Any] | None:
    """Read a JSON object, an empty body being an empty one; None where it is something else."""
    if not content.strip():
        return {}
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def dumped(value: Any) -> bytes:
    """Write JSON on one line."""
    return json.dumps(value, separators=(",", ":")).encode()
