"""The rooms of three walks: which modules of the package one warm call enters.

How much of the code a reader must open to follow a search, a proxied ``_search`` and a
``/v2/rerank``. Each call is made three times; the modules whose functions the third one calls, in
any thread, are printed in the order in which it enters them, with the functions::

    python benchmarks/walks.py            # the counts
    python benchmarks/walks.py --rooms    # and each module with its functions

The model is the tiny one that ships, the search engine behind the proxy a few lines of this file.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import FrameType
from typing import Any

import httpx

import twopass
from twopass.pipeline.apps.assembly import build_scorer
from twopass.pipeline.apps.settings import Settings
from twopass.pipeline.apps.sidecar.app import create_app
from twopass.pipeline.apps.sidecar.service import Sidecar

PACKAGE = str(Path(str(twopass.__file__)).parent) + "/"
MODEL = "twopass/tiny"
DOCUMENTS = [
    twopass.Document(f"d{number}", f"The {animal} {action} in the barn.")
    for number, (animal, action) in enumerate(
        (animal, action) for animal in ("cat", "dog", "fox") for action in ("sleeps", "hunts mice")
    )
]
CALLS = 3  # the last is traced: by then everything is loaded, compiled and chosen

Rooms = dict[str, list[str]]


class Trace:
    """Notes which functions of the package are called while it is on, in all threads."""

    def __init__(self) -> None:
        self._rooms: Rooms | None = None
        threading.setprofile(self._note)
        sys.setprofile(self._note)

    def _note(self, frame: FrameType, event: str, _: object) -> None:
        path = frame.f_code.co_filename
        if self._rooms is not None and event == "call" and path.startswith(PACKAGE):
            self._rooms.setdefault(path[len(PACKAGE) :], []).append(frame.f_code.co_qualname)

    @contextmanager
    def on(self) -> Iterator[Rooms]:
        """Trace what is called inside the block."""
        self._rooms = rooms = {}
        try:
            yield rooms
        finally:
            self._rooms = None


def search(trace: Trace) -> Rooms:
    """Search an index in memory by both stages."""
    pipeline = twopass.SearchPipeline(
        twopass.BM25Index.build(DOCUMENTS),
        twopass.CrossEncoder(MODEL),
        twopass.fusion("weighted"),
    )
    for number in range(CALLS):
        with trace.on() as rooms:
            pipeline.search(f"cat sleeps in the barn {number}", 5)
    return rooms


async def requests(trace: Trace, engine: str) -> dict[str, Rooms]:
    """Send the sidecar's requests, without a network between client and sidecar."""
    settings = Settings.model_validate({"reranker": {"model": MODEL}, "proxy": {"url": engine}})
    index = twopass.BM25Index.build(DOCUMENTS)
    app = create_app(settings, Sidecar(settings, build_scorer(settings), index))
    texts = [document.text for document in DOCUMENTS]
    bodies: dict[str, Callable[[int], dict[str, Any]]] = {
        "/i/_search": lambda n: {"query": {"match": {"text": f"cat sleeps {n}"}}},
        "/v2/rerank": lambda n: {"query": "cat", "documents": [f"{text} {n}" for text in texts]},
    }
    found: dict[str, Rooms] = {}
    transport = httpx.ASGITransport(app=app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(
            transport=transport, base_url="http://localhost", trust_env=False
        ) as client,
    ):
        for path, body in bodies.items():
            for number in range(CALLS):
                with trace.on() as found[path]:
                    response = await client.post(path, json=body(number))
                response.raise_for_status()
                if path == "/i/_search":
                    assert response.headers["x-twopass-status"] == "complete", response.headers
    return found


class Engine(BaseHTTPRequestHandler):
    """Finds all documents, whatever is searched for, in Elasticsearch's shape."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Answer a search."""
        self.rfile.read(int(self.headers.get("content-length", 0)))
        hits = [
            {"_index": "i", "_id": each.id, "_score": 9.0 - rank, "_source": {"text": each.text}}
            for rank, each in enumerate(DOCUMENTS)
        ]
        total = {"value": len(hits), "relation": "eq"}
        answer = {"took": 1, "hits": {"total": total, "max_score": 9.0, "hits": hits}}
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def engine() -> Iterator[str]:
    """Serve a search engine; yield its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Engine)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()


def show(title: str, rooms: Rooms, *, listed: bool) -> None:
    parts = Counter(path.partition("/")[0] for path in rooms)
    print(f"{title}: {len(rooms)} modules ({', '.join(f'{n} {p}' for p, n in parts.items())})")
    for path, functions in rooms.items() if listed else ():
        print(f"    {path}: {', '.join(dict.fromkeys(functions))}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rooms", action="store_true", help="list the modules")
    arguments = parser.parse_args()
    trace = Trace()
    show("SearchPipeline.search", search(trace), listed=arguments.rooms)
    with engine() as url:
        for path, rooms in asyncio.run(requests(trace, url)).items():
            show(path, rooms, listed=arguments.rooms)


if __name__ == "__main__":
    main()
