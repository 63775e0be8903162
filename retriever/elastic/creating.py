"""Making an index on a server, and knowing it again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from retriever.base import BackendError, IndexExistsError, RefusedError, RemoteIndexMissingError
from retriever.elastic.connection import Connection, part

__all__ = ["create_index", "digest_of", "made_alike"]

_NAME = "twopass"  # in the mapping's notes


def create_index(
    connection: Connection, name: str, body: Mapping[str, Any], *, resume: bool = False
) -> bool:
    """Create an index; return whether it is new.

    The mapping notes by what it was made, so that a request whose answer was lost is known to have
    been carried out, and an interrupted load is taken up only in an index of the same making.

    Args:
        connection: the server.
        name: of the index.
        body: its settings and mappings, of ``index_body``.
        resume: use an index of that name if it was made by the same body.

    Raises:
        IndexExistsError: when there is an index of that name, or with ``resume`` another one.
        BackendError: when the server cannot be reached or refuses.

    """
    note = {"digest": digest_of(body), "made": uuid4().hex}
    mappings = {**body["mappings"], "_meta": {_NAME: note}}
    try:
        connection.request("PUT", f"/{part(name)}", {**body, "mappings": mappings})
    except RefusedError as error:
        if "already exists" not in str(error):
            raise
        there = _note(connection, name)
        if there == note:  # by the first try of this very request
            return True
        if resume and there.get("digest") == note["digest"]:
            return False
        raise IndexExistsError(_exists(name, resume)) from error
    return True


def made_alike(connection: Connection, pattern: str, body: Mapping[str, Any]) -> list[str]:
    """Return the names of the indices that were made by the same body, in order."""
    try:
        found = connection.request("GET", f"/{part(pattern)}/_mapping")
    except RemoteIndexMissingError:
        return []
    wanted = digest_of(body)
    return sorted(name for name, each in found.items() if _read(each).get("digest") == wanted)


def digest_of(body: Mapping[str, Any]) -> str:
    """Return what tells one making of an index from another."""
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()[:16]


def _note(connection: Connection, name: str) -> dict[str, str]:
    try:
        found = connection.request("GET", f"/{part(name)}/_mapping")
    except BackendError:
        return {}
    return _read(found[name]) if name in found else {}  # else it is an alias


def _read(found: Mapping[str, Any]) -> dict[str, str]:
    note: dict[str, str] = found["mappings"].get("_meta", {}).get(_NAME, {})
    return note


def _exists(name: str, resume: bool) -> str:
    if resume:
        return (
            f"the server has an index {name!r} that was made otherwise (analyser, BM25, shards); "
            "delete it there or choose another name"
        )
    return (
        f"the server has an index {name!r}; delete it there, choose another name, or resume where "
        "loading it was interrupted"
    )
