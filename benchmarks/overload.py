"""The rerank API under more load than it can take: complete answers a minute, refusals, time-outs.

    python benchmarks/overload.py --seconds 30
    python benchmarks/overload.py --profiles long --clients 32 --seconds 120
    python benchmarks/overload.py --peer http://127.0.0.1:7997 --peer-command "infinity_emb v2 ..."
                                                another service with the same model, started here

Clients send one request after the other, each with texts of its own. One that is refused waits as
``Retry-After`` says (``honour``), or a second whatever it says (``ignore``), and sends the same
request again. ``returns taken`` is the share of the refused that were not refused again when they
came back as told; ``waited / told`` compares the time until a refused request was accepted with
what its first refusal said. Answers are counted that came before the end. The load's own process
has its share of the machine.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
import numpy as np
from serving import served
from setting import setting
from sidecar import memory, peer

from twopass.pipeline.apps.demo import FOLDER
from twopass.retriever.corpus import read_documents

_PAUSE = 1.0  # seconds that a client waits who does not read Retry-After


@dataclass(frozen=True)
class Profile:
    """What every client asks for.

    Attributes:
        documents: a request.
        words: a document; None for the demo corpus' documents as they are.
        settings: of the service.

    """

    documents: int
    words: int | None
    settings: dict[str, str]


PROFILES = {
    "short": Profile(40, None, {"SERVE__DEADLINE": "4"}),
    "long": Profile(300, 400, {}),
}


@dataclass
class Outcome:
    """What became of a level's requests."""

    statuses: Counter[int] = field(default_factory=Counter)
    times: list[float] = field(default_factory=list)
    told: list[float] = field(default_factory=list)
    returned: list[bool] = field(default_factory=list)
    ratios: list[float] = field(default_factory=list)


def bodies(profile: Profile) -> Callable[[], dict[str, Any]]:
    """Return what makes requests, never the same twice."""
    texts = [document.text for document in read_documents(FOLDER)]
    words = " ".join(texts).split()
    draw = random.Random(0)

    def document() -> str:
        if profile.words is None:
            return draw.choice(texts)
        start = draw.randrange(len(words) - profile.words)
        return " ".join(words[start : start + profile.words])

    def body() -> dict[str, Any]:
        query = f"question {draw.randrange(10**9)} of health"
        documents = [document() for _ in range(profile.documents)]
        return {"query": query, "documents": documents, "return_documents": False}

    return body


async def client(
    http: httpx.AsyncClient,
    make: Callable[[], dict[str, Any]],
    ends: float,
    found: Outcome,
    honour: bool,
) -> None:
    """Send requests until the end."""
    while time.perf_counter() < ends:
        await request(http, make(), ends, found, honour)


async def request(
    http: httpx.AsyncClient, body: dict[str, Any], ends: float, found: Outcome, honour: bool
) -> None:
    """Send a request until it is accepted, and count what becomes of it."""
    refused: tuple[float, float] | None = None
    while (started := time.perf_counter()) < ends:
        answer = await http.post("/rerank", json=body)
        done = time.perf_counter()
        if done > ends:
            return
        found.statuses[answer.status_code] += 1
        if refused is not None and honour:
            found.returned.append(answer.status_code != 429)
        if answer.status_code != 429:
            if refused is not None:
                found.ratios.append((started - refused[0]) / refused[1])
            if answer.status_code == 200:
                found.times.append(done - started)
            else:
                await asyncio.sleep(_PAUSE)
            return
        told = float(answer.headers.get("Retry-After", "nan"))
        found.told.append(told)
        refused = refused or (done, told)
        await asyncio.sleep(min(told, max(0.0, ends - done)) if honour else _PAUSE)


async def level(url: str, profile: Profile, clients: int, seconds: float, mode: str) -> Outcome:
    """Let so many clients send for so many seconds, after one answer that does not count."""
    found, make = Outcome(), bodies(profile)
    limits = httpx.Limits(max_connections=clients)
    async with httpx.AsyncClient(base_url=url, timeout=600, limits=limits) as http:
        await http.post("/rerank", json=make())
        ends = time.perf_counter() + seconds
        tasks = (client(http, make, ends, found, mode == "honour") for _ in range(clients))
        await asyncio.gather(*tasks)
    return found


def row(name: str, clients: int, mode: str, found: Outcome, seconds: float) -> str:
    """Return a level's line of the table."""
    middle, late = np.percentile(found.times, [50, 99]) if found.times else (np.nan, np.nan)
    columns = (
        name,
        clients,
        mode,
        f"{len(found.times) * 60 / seconds:,.0f}",
        found.statuses[429],
        found.statuses[504],
        sum(n for status, n in found.statuses.items() if status not in (200, 429, 504)),
        f"{middle:.2f}",
        f"{late:.2f}",
        f"{min(found.told):.0f} to {max(found.told):.0f}" if found.told else "",
        f"{np.mean(found.returned):.0%}" if found.returned else "",
        f"{np.median(found.ratios):.2f}" if found.ratios else "",
        f"{memory():,.0f}",
    )
    return "| " + " | ".join(map(str, columns)) + " |"


def measure(name: str, url: str, profile: Profile, options: argparse.Namespace) -> None:
    """Print a line a level."""
    for clients in options.clients:
        for mode in options.modes if clients > 1 else options.modes[:1]:
            found = asyncio.run(level(url, profile, clients, options.seconds, mode))
            print(row(name, clients, mode, found, options.seconds), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=30, help="a level")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 4, 8, 32, 128])
    parser.add_argument("--profiles", nargs="+", choices=PROFILES, default=list(PROFILES))
    parser.add_argument(
        "--modes", nargs="+", choices=("honour", "ignore"), default=["honour", "ignore"]
    )
    parser.add_argument("--model", default="twopass/default")
    parser.add_argument("--peer", help="address of another service, loopback")
    parser.add_argument("--peer-command", help="what starts it")
    options = parser.parse_args()
    if bool(options.peer) != bool(options.peer_command):
        parser.error("--peer and --peer-command go together")
    print(setting("onnxruntime", "fastapi", "uvicorn"))
    print(
        "| profile | clients | Retry-After | complete/min | 429 | 504 | other | p50, s | p99, s | "
        "told, s | returns taken | waited / told | peak MB |"
    )
    print("| --- | ---: | --- |" + " ---: |" * 10, flush=True)
    for name in options.profiles:
        profile = PROFILES[name]
        with served(RERANKER__MODEL=options.model, **profile.settings) as url:
            measure(name, url, profile, options)
        if options.peer:
            with peer(options) as url:
                measure(f"{name}, peer", url, profile, options)


if __name__ == "__main__":
    main()
