"""Names by which the service may be called, against DNS rebinding.

A web page can have its own name resolved to this machine's address, and then reads the service's
answers as its own: the browser sees one origin. What shows the attack is the ``Host`` header, which
still has the page's name. An address in it is harmless, since no page's name is an address.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

from fastapi.responses import JSONResponse
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from twopass.pipeline.apps.settings.serve import ServeSettings

__all__ = ["KnownHosts", "exposed", "is_loopback"]

_LOCAL = "localhost"
_MISDIRECTED = 421  # RFC 9110, 15.5.20: this server does not answer for that name


def is_loopback(host: str) -> bool:
    """Return whether only this machine reaches a host."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == _LOCAL or host.endswith(f".{_LOCAL}")


def exposed(serve: ServeSettings) -> str | None:
    """Return the warning for a service that anybody in the network may use; None for others."""
    if serve.api_keys or is_loopback(serve.host):
        return None
    return (
        f"anybody who reaches {serve.host}:{serve.port} may use this service: it listens on an "
        "address other than loopback, and serve.api_keys is empty; "
        "'twopass serve --new-key' makes a key"
    )


class KnownHosts:
    """ASGI middleware that refuses requests for names that are not this service's.

    Args:
        app: the application.
        serve: ``host`` and ``hosts`` name the service. Without ``hosts``, only a service on a
            loopback address is checked: by which names others are called, only their users know.

    """

    def __init__(self, app: ASGIApp, serve: ServeSettings) -> None:
        self._app = app
        self._checks = "*" not in serve.hosts and (bool(serve.hosts) or is_loopback(serve.host))
        self._names = {name.lower() for name in (serve.host, *serve.hosts)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http" and self._checks:
            host = _without_port(Headers(scope=scope).get("host", _LOCAL)).lower().rstrip(".")
            if not self._is_ours(host):
                await _refusal(host)(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _is_ours(self, host: str) -> bool:
        return host in self._names or is_loopback(host) or _is_address(host)


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0]
    name, _, port = host.rpartition(":")
    return name if port.isdigit() else host


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _refusal(host: str) -> JSONResponse:
    message = f"expected a Host that serve.hosts names, found {host!r:.100}"
    body: dict[str, Any] = {"error": {"type": "misdirected", "message": message}}
    return JSONResponse(body, _MISDIRECTED)
