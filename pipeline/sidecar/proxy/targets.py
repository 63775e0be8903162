"""Which part of Elasticsearch's API a path means, and whether it is open."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote, unquote

__all__ = ["Target", "target_of"]

_SEARCHES = ("_search", "_msearch")


@dataclass(frozen=True, slots=True)
class Target:
    """A path of Elasticsearch's API, read as it reads it.

    Attributes:
        parts: the path's parts, decoded.

    """

    parts: tuple[str, ...]

    @property
    def index(self) -> str:
        """What the path names before the API; empty for all indices."""
        return "" if not self.parts or _is_api(self.parts[0]) else self.parts[0]

    @property
    def api(self) -> str:
        """The API, from its first part on: ``_search``, ``_search/scroll``, ``_doc/1``.

        Of an index's own path it is ``{index}``, and of the root ``/``.
        """
        api = self.parts[1:] if self.index else self.parts
        return "/".join(api) or ("{index}" if self.index else "/")

    @property
    def is_search(self) -> bool:
        """Tell whether it is a search whose body is read here."""
        return self.api in _SEARCHES

    @property
    def path(self) -> str:
        """The path, written so that there is one way to read it."""
        return "/" + "/".join(quote(part, safe="") for part in self.parts)

    def is_open(self, method: str, allow: Sequence[str]) -> bool:
        """Tell whether the settings' ``proxy.allow`` lets a request through."""
        if self.is_search:
            return method in ("GET", "POST")
        if any(part in (".", "..") for part in self.parts):
            return False
        return any(self._is_meant(method, entry) for entry in allow)

    def _is_meant(self, method: str, entry: str) -> bool:
        verb, _, api = entry.rpartition(" ")
        if verb and verb.upper() != method:
            return False
        return api == "*" or self.api == api or self.api.startswith(f"{api}/")


def target_of(raw_path: str) -> Target:
    """Read a path that is still encoded: date mathematics puts a / into an index's name."""
    return Target(tuple(unquote(part) for part in raw_path.split("/") if part))


def _is_api(part: str) -> bool:
    return part.startswith("_") and part.partition(",")[0] != "_all"
