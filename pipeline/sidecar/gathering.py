"""An answer's head and body leave in one piece, so that a process killed between them tears none.

A balancer can send a request to another replica only until the first byte of an answer has come.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.auto import AutoHTTPProtocol

__all__ = ["GatheringProtocol"]

_HELD = 65536  # bytes; a longer answer leaves in pieces, at the pace of its reader


class _Gathering:
    """A transport that sends together what is written in one step of the event loop."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._held = bytearray()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Send now what fills a piece, the rest when this step of the loop has ended."""
        if not self._held:
            self._loop.call_soon(self._send)
        self._held += data
        if len(self._held) >= _HELD:
            self._send()

    def close(self) -> None:
        """Send what is held; then close."""
        self._send()
        self._transport.close()

    def _send(self) -> None:
        if self._held:
            self._transport.write(bytes(self._held))
            self._held.clear()


class GatheringProtocol(AutoHTTPProtocol):  # type: ignore[misc, valid-type]
    """uvicorn's protocol of HTTP, over a transport that gathers."""

    def connection_made(self, transport: Any) -> None:
        """Begin a connection."""
        super().connection_made(_Gathering(transport, self.loop))
