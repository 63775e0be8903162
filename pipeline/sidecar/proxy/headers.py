"""Which headers go on, in both directions."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping

from pipeline.settings.proxy import ProxySettings

__all__ = ["Headers", "accepts_gzip", "encoded", "of_answer", "of_request", "with_body"]

Headers = list[tuple[str, str]]

# RFC 9110, 7.6.1: these speak of one connection.
_HOP = {
    *("connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection"),
    *("te", "trailer", "transfer-encoding", "upgrade", "expect"),
}
# By these Elasticsearch knows who asks.
_WHO = {
    *("authorization", "cookie", "es-client-authentication", "es-secondary-authorization"),
    *("es-security-runas-user", "opendistro_security_impersonate_as"),
    *("opensearch_security_impersonate_as", "securitytenant", "x-proxy-user", "x-proxy-roles"),
}
_OURS = ("x-twopass-", "x-api-key", "api-key")


def of_request(headers: Iterable[tuple[str, str]], settings: ProxySettings) -> Headers:
    """Return a caller's headers for Elasticsearch, as they are but for who asks.

    With the sidecar's own credentials, nothing that the caller says of itself goes on.
    """
    listed = [(name.lower(), value) for name, value in headers]
    left_out = _HOP | _named(listed) | {"host", "content-length"}
    if settings.credentials == "own":
        left_out |= _WHO
    kept = [
        (name, value)
        for name, value in listed
        if name not in left_out and not name.startswith(_OURS)
    ]
    return [*kept, *_own(settings)]


def with_body(headers: Headers, kind: str) -> Headers:
    """Return the headers for a body that was written anew, and an answer that is to be read."""
    left_out = {"content-encoding", "accept-encoding"}
    kept = [(name, value) for name, value in headers if name not in left_out]
    if "content-type" not in dict(kept):
        kept.append(("content-type", kind))
    return [*kept, ("accept-encoding", "identity")]


def of_answer(headers: Iterable[tuple[str, str]], *, anew: bool = False) -> Headers:
    """Return Elasticsearch's headers for the caller.

    Args:
        headers: its own.
        anew: whether the body was read and is written anew.

    """
    listed = [(name.lower(), value) for name, value in headers]
    left_out = _HOP | _named(listed)
    if anew:
        left_out |= {"content-length", "content-encoding", "etag"}
    return [pair for pair in listed if pair[0] not in left_out]


def encoded(headers: Headers) -> list[tuple[bytes, bytes]]:
    """Write headers as a response holds them; a name may stand more than once."""
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]


def accepts_gzip(headers: Mapping[str, str]) -> bool:
    """Tell whether the caller takes gzip."""
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
