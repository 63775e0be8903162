"""The same collection searched in three ways: in-process, by the retriever, through the proxy.

    python benchmarks/proxy_quality.py ../shared/data/scifact http://localhost:9200
        [--engine elasticsearch] [--analyzer standard] [--split test] [--queries 300] [--depth 100]
        [--cache FOLDER] [--no-rerank]

Loads the documents into an index of its own, which is deleted at the end, and prints nDCG@10 of
the first stage alone and of both, for each way. The proxy is ``twopass serve`` in a process of its
own; it is asked with the query body that the retriever sends. Needs a server that has the analyser.

The three ways share one score cache on disk, by model, query and text: a pair that one has scored,
the others read there, as users may have it (``reranker.cache.folder``). With ``--cache`` it stays,
so that a run that was stopped goes on where it was; other weights have other keys.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from uuid import uuid4

import httpx
import numpy as np
from serving import served

from twopass.pipeline.apps.assembly import build_fusion, build_scorer
from twopass.pipeline.apps.settings import load_settings
from twopass.pipeline.evaluation import Run, evaluate_runs
from twopass.pipeline.evaluation.runs import Entries, strictly_decreasing
from twopass.pipeline.search import SearchPipeline
from twopass.reranker.contract.scorer import PairScorer
from twopass.retriever.analysis import get_analyzer
from twopass.retriever.base import Retriever
from twopass.retriever.corpus import BeirFolder, read_documents, read_qrels, read_queries
from twopass.retriever.elastic import ElasticsearchRetriever, connect, load_documents
from twopass.retriever.elastic.remote_index import server_analyzer
from twopass.retriever.index.index import BM25Index
from twopass.retriever.scoring import Lucene

_AT_ONCE = 4  # queries; what a run that is stopped loses of its scores


def searched(pipeline: SearchPipeline, queries: Mapping[str, str], depth: int) -> Run:
    run: dict[str, Entries] = {}
    ids = list(queries)
    for start in range(0, len(ids), _AT_ONCE):
        some = ids[start : start + _AT_ONCE]
        rankings = pipeline.search_many([queries[id] for id in some], 10, depth=depth)
        for id, found in zip(some, rankings, strict=True):
            run[id] = Entries(found.ids, strictly_decreasing(found.fused))
        print(f"\r{len(run)} of {len(queries)} queries", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return run


def both(
    name: str,
    retriever: Retriever,
    scorer: PairScorer | None,
    queries: Mapping[str, str],
    depth: int,
) -> dict[str, Run]:
    stages = {"BM25": None} | ({} if scorer is None else {"reranked": scorer})
    fusion = build_fusion(load_settings())
    return {
        f"{name}, {stage}": searched(SearchPipeline(retriever, each, fusion), queries, depth)
        for stage, each in stages.items()
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


def compared(options: argparse.Namespace, queries: Mapping[str, str], cache: str) -> dict[str, Run]:
    """Search in all three ways; scores are kept in the folder ``cache``."""
    corpus, scoring = BeirFolder(options.collection).corpus, Lucene()
    inside = BM25Index.build(read_documents(corpus), analyzer=options.analyzer, scoring=scoring)
    scorer = None
    if not options.no_rerank:
        scorer = build_scorer(
            load_settings({"reranker.cache.folder": cache, "reranker.cascade.model": "none"})
        )
    runs = both("in-process index", inside, scorer, queries, options.depth)
    connection = connect(options.url, engine=options.engine)
    index = f"proxy-quality-{uuid4().hex[:8]}"
    analysis = server_analyzer(get_analyzer(options.analyzer))
    try:
        load_documents(
            connection, index, read_documents(corpus), analysis=analysis, scoring=scoring
        )
        outside = ElasticsearchRetriever(options.url, index, engine=options.engine)
        runs |= both("retriever", outside, scorer, queries, options.depth)
        rerank = f'{{"window_size":{options.depth},"fields":["title","text"],"deadline":120}}'
        kept = {"RERANKER__CACHE__FOLDER": cache}
        with served(PROXY__URL=options.url, PROXY__RERANK=rerank, **kept) as url:
            runs["proxy, BM25"] = proxied(url, index, queries, rerank=False)
            if scorer is not None:
                runs["proxy, reranked"] = proxied(url, index, queries, rerank=True)
    finally:
        connection.request("DELETE", f"/{index}")
        connection.close()
    return runs


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
    parser.add_argument("--cache", help="where scores are kept, to go on after an interruption")
    parser.add_argument("--no-rerank", action="store_true", help="the first stage alone: quick")
    options = parser.parse_args()

    folder = BeirFolder(options.collection)
    qrels, texts = read_qrels(folder.qrels(options.split)), read_queries(folder.queries)
    chosen = sorted(qrels)
    if len(chosen) > options.queries:
        chosen = random.Random(12).sample(chosen, options.queries)
    queries = {id: texts[id] for id in chosen}
    with nullcontext(options.cache) if options.cache else tempfile.TemporaryDirectory() as cache:
        runs = compared(options, queries, cache)
    result = evaluate_runs(runs, {id: qrels[id] for id in chosen}, measures=["nDCG@10"])
    print(f"{folder.corpus.parent.name}:{options.split}, {len(chosen)} queries, nDCG@10")
    for name in runs:
        print(f"{name:28} {result.means(name)['nDCG@10']:.4f}")


if __name__ == "__main__":
    main()
