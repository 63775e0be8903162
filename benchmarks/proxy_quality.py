"""The same collection searched in three ways: in-process, by the retriever, through the proxy.

    python benchmarks/proxy_quality.py ../shared/data/scifact http://localhost:9200
        [--engine elasticsearch] [--analyzer standard] [--split test] [--queries 300] [--depth 100]

Loads the documents into an index of its own, which is deleted at the end, and prints nDCG@10 of
the first stage alone and of both, for each way. The proxy is ``twopass serve`` in a process of its
own; it is asked with the query body that the retriever sends. Needs a server that has the analyser.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from uuid import uuid4

import httpx
import numpy as np
from numpy.typing import NDArray
from serving import served

from pipeline.assembly import build_fusion
from pipeline.evaluation import Run, evaluate_runs
from pipeline.evaluation.runs import Entries, strictly_decreasing
from pipeline.search import SearchPipeline
from pipeline.settings import Settings
from reranker.base import PairScorer
from reranker.cross_encoder import CrossEncoder
from retriever.analysis import get_analyzer
from retriever.base import Retriever
from retriever.bm25.index import BM25Index
from retriever.corpus import BeirFolder, read_documents, read_qrels, read_queries
from retriever.elastic import ElasticsearchRetriever, connect, load_documents
from retriever.elastic.mapping import server_analyzer
from retriever.scoring import Lucene


class Remembering:
    """A scorer that reads each pair once: two of the three ways rerank the same pairs."""

    def __init__(self, scorer: PairScorer) -> None:
        self._scorer = scorer
        self._known: dict[tuple[str, str], np.float32] = {}

    def predict(self, pairs: Sequence[tuple[str, str]]) -> NDArray[np.float32]:
        """Return each pair's score."""
        new = [pair for pair in dict.fromkeys(pairs) if pair not in self._known]
        if new:
            self._known |= dict(zip(new, self._scorer.predict(new), strict=True))
        return np.array([self._known[pair] for pair in pairs], dtype=np.float32)


def searched(pipeline: SearchPipeline, queries: Mapping[str, str], depth: int) -> Run:
    rankings = pipeline.search_many(list(queries.values()), 10, depth=depth)
    return {
        id: Entries(found.ids, strictly_decreasing(found.fused))
        for id, found in zip(queries, rankings, strict=True)
    }


def both(
    name: str, retriever: Retriever, scorer: PairScorer, queries: Mapping[str, str], depth: int
) -> dict[str, Run]:
    fusion = build_fusion(Settings())
    return {
        f"{name}, BM25": searched(SearchPipeline(retriever, None, fusion), queries, depth),
        f"{name}, reranked": searched(SearchPipeline(retriever, scorer, fusion), queries, depth),
    }


def proxied(url: str, index: str, queries: Mapping[str, str], *, rerank: bool) -> Run:
    run: dict[str, Entries] = {}
    with httpx.Client(base_url=url, timeout=300) as client:
        for id, query in queries.items():
            body = {"query": {"match": {"contents": query}}, "size": 10, "_source": False}
            headers = {} if rerank else {"x-twopass-rescore": "false"}
            answer = client.post(f"/{index}/_search", json=body, headers=headers)
            answer.raise_for_status()
            expected = ("complete", "skipped") if rerank else ("passed",)
            if answer.headers["x-twopass-status"] not in expected:
                raise RuntimeError(f"{query!r}: {answer.headers['x-twopass-reason']}")
            hits = answer.json()["hits"]["hits"]
            scores = np.array([hit["_score"] for hit in hits], dtype=np.float32)
            ids = np.array([hit["_id"] for hit in hits], dtype=np.object_)
            run[id] = Entries(ids, strictly_decreasing(scores))
    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("collection", type=Path, help="a folder in BEIR's layout")
    parser.add_argument("url", help="the server's address")
    parser.add_argument(
        "--engine", default="elasticsearch", choices=["elasticsearch", "opensearch"]
    )
    parser.add_argument("--analyzer", default="standard")
    parser.add_argument("--split", default="test")
    parser.add_argument("--queries", type=int, default=300, help="a sample of the split")
    parser.add_argument("--depth", type=int, default=100)
    options = parser.parse_args()

    folder = BeirFolder(options.collection)
    qrels, texts = read_qrels(folder.qrels(options.split)), read_queries(folder.queries)
    chosen = sorted(qrels)
    if len(chosen) > options.queries:
        chosen = random.Random(12).sample(chosen, options.queries)
    queries = {id: texts[id] for id in chosen}
    scoring, scorer = Lucene(), Remembering(CrossEncoder())
    inside = BM25Index.build(
        read_documents(folder.corpus), analyzer=options.analyzer, scoring=scoring
    )
    runs = both("in-process index", inside, scorer, queries, options.depth)
    connection = connect(options.url, engine=options.engine)
    index = f"proxy-quality-{uuid4().hex[:8]}"
    load_documents(
        connection,
        index,
        read_documents(folder.corpus),
        analysis=server_analyzer(get_analyzer(options.analyzer)),
        scoring=scoring,
    )
    try:
        outside = ElasticsearchRetriever(options.url, index, engine=options.engine)
        runs |= both("retriever", outside, scorer, queries, options.depth)
        rerank = f'{{"window_size":{options.depth},"fields":["title","text"],"deadline":120}}'
        with served(PROXY__URL=options.url, PROXY__RERANK=rerank) as url:
            runs["proxy, passed"] = proxied(url, index, queries, rerank=False)
            runs["proxy, reranked"] = proxied(url, index, queries, rerank=True)
    finally:
        connection.request("DELETE", f"/{index}")
        connection.close()
    result = evaluate_runs(runs, {id: qrels[id] for id in chosen}, measures=["nDCG@10"])
    print(f"{folder.corpus.parent.name}:{options.split}, {len(chosen)} queries, nDCG@10")
    for name in runs:
        print(f"{name:28} {result.means(name)['nDCG@10']:.4f}")


if __name__ == "__main__":
    main()
