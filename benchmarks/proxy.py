"""What the proxy adds to a search: the same body sent to the server, and through the proxy.

    python benchmarks/proxy.py ../shared/data/scifact http://localhost:9200
        [--searches 300] [--window 100] [--size 10]

Ways take turns, search by search, on one connection each. Of a reranked search, what the model took
is told apart by the answer's own timings, so that ``proxy`` is the rest: reading the body, fetching
and reading the larger window, ordering, writing the page.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path
from time import perf_counter
from typing import Any
from uuid import uuid4

import httpx
import numpy as np
from serving import served

from twopass.retriever.analysis import get_analyzer
from twopass.retriever.corpus import BeirFolder, read_documents, read_queries
from twopass.retriever.elastic import connect, load_documents
from twopass.retriever.elastic.remote_index import server_analyzer

_WARM = 20


def milliseconds(name: str, values: Iterable[float]) -> None:
    found = np.array(list(values)) * 1000
    p50, p99 = np.percentile(found, [50, 99])
    print(f"{name:44} p50 {p50:8.2f}  p99 {p99:8.2f}")


def timed(
    client: httpx.Client, index: str, body: Any, headers: dict[str, str]
) -> tuple[float, dict[str, Any]]:
    started = perf_counter()
    answer = client.post(f"/{index}/_search", json=body, headers=headers)
    found: dict[str, Any] = answer.raise_for_status().json()
    return perf_counter() - started, found


def measure(direct: httpx.Client, proxied: httpx.Client, index: str, options: Any) -> None:
    texts = list(read_queries(BeirFolder(options.collection).queries).values())
    columns: dict[str, list[float]] = {}
    for number in range(_WARM + options.searches):
        match = {"match": {"contents": texts[number % len(texts)]}}
        body = {"query": match, "size": options.size}
        wide = {"query": match, "size": options.window}
        times = {
            "server": timed(direct, index, body, {})[0],
            "server, the whole window": timed(direct, index, wide, {})[0],
            "proxy, reranking off": timed(proxied, index, body, {"x-twopass-rescore": "false"})[0],
        }
        reranked, answer = timed(proxied, index, body, {})
        if answer["_twopass"]["status"] != "complete":
            raise RuntimeError(answer["_twopass"])
        model = answer["_twopass"]["timings_ms"]["rerank"] / 1000
        times |= {
            "proxy, reranking on": reranked,
            "  of it the model": model,
            "  of it server and proxy": reranked - model,
        }
        times["added, reranking off"] = times["proxy, reranking off"] - times["server"]
        times["added to the window, without the model"] = (
            reranked - model - times["server, the whole window"]
        )
        if number >= _WARM:
            for name, value in times.items():
                columns.setdefault(name, []).append(value)
    print(f"{options.searches} searches, {options.size} hits, window {options.window}, ms")
    for name, values in columns.items():
        milliseconds(name, values)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("collection", type=Path, help="a folder in BEIR's layout")
    parser.add_argument("url", help="an Elasticsearch's address")
    parser.add_argument("--searches", type=int, default=300)
    parser.add_argument("--window", type=int, default=100)
    parser.add_argument("--size", type=int, default=10)
    options = parser.parse_args()
    connection = connect(options.url)
    index = f"proxy-latency-{uuid4().hex[:8]}"
    documents = read_documents(BeirFolder(options.collection).corpus)
    analysis = server_analyzer(get_analyzer("standard"))
    load_documents(connection, index, documents, analysis=analysis)
    rerank = f'{{"window_size":{options.window},"fields":["title","text"],"deadline":120}}'
    try:
        with (
            served(PROXY__URL=options.url, PROXY__RERANK=rerank) as url,
            httpx.Client(base_url=options.url, timeout=300) as direct,
            httpx.Client(base_url=url, timeout=300) as proxied,
        ):
            measure(direct, proxied, index, options)
    finally:
        connection.request("DELETE", f"/{index}")
        connection.close()


if __name__ == "__main__":
    main()
