"""Limits of connections: how many there are, and how long each may keep the service waiting.

A client that opens connections and says nothing, or a byte now and then, costs as much as one that
is served. Each step of an exchange has a time limit, and where there are too many connections, the
one that has been idle longest makes room.
"""

from __future__ import annotations

import logging
from asyncio import TimerHandle
from dataclasses import dataclass
from typing import Any, Literal

import uvicorn
from uvicorn.protocols.http.auto import AutoHTTPProtocol

from twopass.pipeline.apps.settings.serve import ServeSettings

__all__ = ["BoundedProtocol", "LimitedConfig", "Limits"]

_LOG = logging.getLogger(__name__)

_MIB = 1024 * 1024
_LINGER = 5.0  # seconds to send what is left of an answer, when a connection is closed
_QUIET = 60.0  # seconds between two messages in the log that there are too many
# Of the files that a process may open; the rest is for connections that are just being accepted or
# closed, for indexes and models.
_SHARE = 1 / 2
_BACKLOG = 128  # connections that are accepted in one step of the event loop, before any is closed


@dataclass(frozen=True, slots=True)
class Limits:
    """How many connections there may be, and seconds for each step of one.

    Attributes:
        connections: at most.
        headers: from the first byte, or the beginning of the connection, to the last header.
        body: for a body, with one more for each MiB; and for a client to read a part of an answer.

    """

    connections: int = 1_000
    headers: float = 20.0
    body: float = 30.0

    @classmethod
    def of(cls, serve: ServeSettings) -> Limits:
        """Return what the settings say, and the number of files that may be open."""
        most = max(1, min(serve.max_connections, int(_open_files() * _SHARE)))
        return cls(most, serve.header_timeout, serve.body_timeout)


def _open_files() -> int:
    try:
        import resource
    except ImportError:  # a system without such a limit
        return 2**31
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return 2**31 if soft == resource.RLIM_INFINITY else soft


class LimitedConfig(uvicorn.Config):
    """uvicorn's configuration with limits of connections.

    Args:
        app: the application, or what returns it.
        serve: the settings.
        options: uvicorn's.

    """

    def __init__(self, app: Any, serve: ServeSettings, **options: Any) -> None:
        super().__init__(
            app, backlog=_BACKLOG, timeout_keep_alive=_whole(serve.keep_alive), ws="none", **options
        )
        self.limits = Limits.of(serve)


def _whole(seconds: float) -> Any:
    """Return seconds for uvicorn, which declares whole ones and takes any."""
    return seconds


_Step = Literal["headers", "body", "answer", "idle"]


class BoundedProtocol(AutoHTTPProtocol):  # type: ignore[misc, valid-type]
    """uvicorn's HTTP protocol, with limits."""

    _complained = -_QUIET

    def __init__(self, config: uvicorn.Config, *arguments: Any, **named: Any) -> None:
        super().__init__(config, *arguments, **named)
        self._limits: Limits = getattr(config, "limits", None) or Limits()
        self._step: tuple[_Step, object] = ("idle", None)
        self._since = 0.0
        self._received = 0  # bytes since then
        self._timer: TimerHandle | None = None
        self._unread: TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Begin a connection; it has its first headers to send."""
        super().connection_made(transport)
        self._enter(("headers", None))
        if len(self.connections) > self._limits.connections:
            self._make_room()

    def data_received(self, data: bytes) -> None:
        """Read what has come, and see which step that was."""
        self._received += len(data)
        super().data_received(data)
        self._follow()

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        answered = self.cycle
        super().on_response_complete()
        if self.cycle is answered:
            self._enter(("idle", answered))
        else:  # it was there already
            self._follow()

    def connection_lost(self, exc: Exception | None) -> None:
        """End a connection."""
        for timer in (self._timer, self._unread):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    def timeout_keep_alive_handler(self) -> None:
        """Close a connection on which no further request has come."""
        super().timeout_keep_alive_handler()
        self.loop.call_later(_LINGER, self.transport.abort)

    def pause_writing(self) -> None:
        """Wait for the client to read what was sent, but not for ever."""
        super().pause_writing()
        self._await_reader()

    def resume_writing(self) -> None:
        """Go on sending."""
        super().resume_writing()
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

    def _follow(self) -> None:
        """Start the time limit of a step that has begun; time within one step runs on."""
        cycle = self.cycle
        step: _Step = "headers"
        if cycle is not None and not cycle.response_complete:
            step = "body" if cycle.more_body else "answer"
        if (step, cycle) != self._step:
            self._enter((step, cycle))

    def _enter(self, step: tuple[_Step, object]) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._step, self._since = step, self.loop.time()
        self._received = 0 if step[0] != "headers" else self._received
        limit = {"headers": self._limits.headers, "body": self._limits.body}.get(step[0])
        if limit is not None:
            self._timer = self.loop.call_later(limit, self._late)

    def _late(self) -> None:
        """End a connection whose client has taken too long, unless it was not the client."""
        now = self.loop.time()
        if self._step[0] == "body":
            if self.flow.read_paused:  # the application has not read what there is
                self._since = now
            left = self._since + self._limits.body + self._received / _MIB - now
            if left > 0:
                self._timer = self.loop.call_later(left, self._late)
                return
        begun = self._received or self._step[0] == "body"
        self._end("408 Request Timeout" if begun else "")

    def _make_room(self) -> None:
        """Close what has been idle longest; where nothing is, this connection."""
        now = self.loop.time()
        if now - BoundedProtocol._complained >= _QUIET:
            BoundedProtocol._complained = now
            _LOG.warning("more than %d connections; idle ones are closed", self._limits.connections)
        idle = [each for each in self.connections if each is not self and each.is_idle]
        if idle:
            min(idle, key=lambda each: each._since)._end("")
        else:
            self._end("503 Service Unavailable")

    @property
    def is_idle(self) -> bool:
        """Whether it has no request that is being read or answered."""
        return self._step[0] in ("idle", "headers") and not self.transport.is_closing()

    def _end(self, status: str) -> None:
        """Close the connection, with an answer where none has begun and a status is given."""
        if self.transport.is_closing():
            return
        cycle = self.cycle
        free = cycle is None or cycle.response_complete or not cycle.response_started
        if status and free:
            head = f"HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: 0\r\n"
            retry = "retry-after: 1\r\n" if status.startswith("503") else ""
            self.transport.write(f"{head}{retry}\r\n".encode())
        self.transport.close()
        self.loop.call_later(_LINGER, self.transport.abort)

    def _await_reader(self) -> None:
        """End the connection unless the client reads a part of its answer in time."""
        size = self.transport.get_write_buffer_size()

        def look() -> None:
            if self.transport.get_write_buffer_size() < size:
                self._await_reader()
            else:
                self.transport.abort()

        self._unread = self.loop.call_later(self._limits.body, look)
