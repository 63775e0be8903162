"""A small index for the proxy's tests, and how to fill it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Protocol

import httpx

from ..running import Running

DOCUMENTS: dict[str, dict[str, Any]] = {
    f"d{number:02}": {
        "title": f"{name} {place.split()[-1]}",
        "text": f"The {name} {act} {place}.",
        "kind": name,
        "number": number,
        "about": {"place": place, "acts": [act, "eats"]},
    }
    for number, (name, act, place) in enumerate(
        (name, act, place)
        for name in ("cat", "dog", "fox", "hen", "owl")
        for act in ("sleeps", "hunts mice", "runs and runs", "watches the farm at night")
        for place in ("in the barn", "near the old river", "on a warm roof far from people")
    )
}
_MAPPINGS = {
    "properties": {
        "title": {"type": "text", "fields": {"raw": {"type": "keyword"}}},
        "text": {"type": "text"},
        "kind": {"type": "keyword"},
        "number": {"type": "integer"},
        "about": {"properties": {"place": {"type": "text"}, "acts": {"type": "text"}}},
    }
}


@dataclass(frozen=True)
class Engine:
    name: str
    url: str
    index: str
    client: httpx.Client

    def search(self, body: Any, **params: Any) -> dict[str, Any]:
        """Ask the server itself."""
        answer = self.client.post(f"/{self.index}/_search", json=body, params=params)
        found: dict[str, Any] = answer.raise_for_status().json()
        return found


class Start(Protocol):
    def __call__(self, url: str, scorer: object | None = None, **proxy: object) -> Running: ...


def fill(client: httpx.Client, index: str, *, shards: int = 2) -> None:
    """Create the index and load the documents."""
    settings = {"number_of_shards": shards, "number_of_replicas": 0}
    body = {"settings": settings, "mappings": _MAPPINGS}
    client.put(f"/{index}", json=body).raise_for_status()
    lines = (
        json.dumps(line)
        for id, source in DOCUMENTS.items()
        for line in ({"index": {"_id": id}}, source)
    )
    client.post(
        f"/{index}/_bulk?refresh=true",
        content="\n".join(lines) + "\n",
        headers={"content-type": "application/x-ndjson"},
    ).raise_for_status()


def ids(answer: dict[str, Any]) -> list[str]:
    return [hit["_id"] for hit in answer["hits"]["hits"]]


def scores(answer: dict[str, Any]) -> list[float]:
    return [hit["_score"] for hit in answer["hits"]["hits"]]
