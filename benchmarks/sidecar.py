"""The rerank API under load: rates, times and memory beside scoring without HTTP, and a peer.

    python benchmarks/sidecar.py --seconds 60 --connections 32
    python benchmarks/sidecar.py --peer http://127.0.0.1:7997 --peer-command "infinity_emb v2 ..."
                                                another service with the same model, started here

Each request asks ``/rerank`` for one query with some passages, all different. Offline, such pairs
are scored by the same settings in one call, first and last, and the mean of both rates counts.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import random
import shlex
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import numpy as np
from serving import served

from twopass.pipeline.apps.assembly import build_final_scorer
from twopass.pipeline.apps.demo import FOLDER
from twopass.pipeline.apps.settings import load_settings
from twopass.retriever.corpus import read_documents

Request = tuple[str, list[str]]


def requests(documents: int) -> Iterator[Request]:
    """Yield a query with passages of the demo corpus, never the same twice."""
    texts = [document.text for document in read_documents(FOLDER)]
    draw = random.Random(0)
    for number in itertools.count():
        yield f"question {number} of health", draw.sample(texts, documents)


async def load(url: str, options: argparse.Namespace) -> tuple[float, list[float]]:
    """Return pairs a second and the seconds of each request."""
    asked, times = requests(options.documents), []
    ends = time.perf_counter() + options.seconds
    limits = httpx.Limits(max_connections=options.connections)
    async with httpx.AsyncClient(base_url=url, timeout=120, limits=limits) as client:

        async def ask() -> None:
            while time.perf_counter() < ends:
                query, documents = next(asked)
                started = time.perf_counter()
                body = {"query": query, "documents": documents, "return_documents": False}
                answer = await client.post("/rerank", json=body)
                answer.raise_for_status()
                times.append(time.perf_counter() - started)

        started = time.perf_counter()
        await asyncio.gather(*(ask() for _ in range(options.connections)))
        return len(times) * options.documents / (time.perf_counter() - started), times


def offline(options: argparse.Namespace) -> float:
    """Return pairs a second of one large call, without HTTP."""
    scorer = build_final_scorer(load_settings())
    scorer.predict([("warm", "up")])
    asked = itertools.islice(requests(options.documents), options.offline)
    pairs = [(query, text) for query, texts in asked for text in texts]
    started = time.perf_counter()
    scorer.predict(pairs)
    return len(pairs) / (time.perf_counter() - started)


def memory() -> float:
    """Return the resident megabytes of the largest child, the service; Linux alone."""
    found = [0.0]
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            fields = dict(line.split(":", 1) for line in status.read_text().splitlines())
        except OSError:
            continue
        if fields["PPid"].strip() == str(Path("/proc/self").resolve().name):
            found.append(int(fields.get("VmHWM", "0 kB").split()[0]) / 1024)
    return max(found)


@contextmanager
def peer(options: argparse.Namespace) -> Iterator[str]:
    """Start the other service, and wait until it answers; its address."""
    command = shlex.split(options.peer_command or "")
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while not answers(options.peer):
            if process.poll() is not None:
                raise RuntimeError(f"{command[0]} ended; run it by hand to see why")
            time.sleep(0.5)
        yield options.peer
    finally:
        process.terminate()
        process.wait()


def answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health", timeout=30).status_code == 200
    except httpx.TransportError:
        return False


def measured(name: str, url: str, options: argparse.Namespace) -> float:
    """Print a service's line of the table; pairs a second."""
    rate, times = asyncio.run(load(url, options))
    middle, late = np.percentile(times, [50, 99]) * 1e3
    columns = (f"{rate:,.1f}", len(times), f"{middle:,.0f}", f"{late:,.0f}", f"{memory():,.0f}")
    print(f"| {name} |", " | ".join(map(str, columns)), "|", flush=True)
    return rate


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--documents", type=int, default=10, help="a request")
    parser.add_argument("--offline", type=int, default=30, help="requests scored without HTTP")
    parser.add_argument("--peer", help="address of another service, loopback")
    parser.add_argument("--peer-command", help="what starts it")
    options = parser.parse_args()
    if bool(options.peer) != bool(options.peer_command):
        parser.error("--peer and --peer-command go together")
    rates = [offline(options)]
    print("| | pairs/s | requests | p50, ms | p99, ms | peak MB |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |", flush=True)
    with served(SERVE__DEADLINE="600") as url:
        rate = measured("twopass serve", url, options)
    if options.peer:
        with peer(options) as url:
            measured(Path(shlex.split(options.peer_command)[0]).name, url, options)
    rates.append(offline(options))
    print(f"offline: {rates[0]:,.1f} and {rates[1]:,.1f} pairs/s")
    print(f"sidecar over offline: {rate / np.mean(rates):.2f}")


if __name__ == "__main__":
    main()
