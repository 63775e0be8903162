"""Two-stage search: BM25 candidates, cross-encoder scores, one fused ranking.

The names that most programs need are here; the three packages have the rest::

    twopass.retriever   candidates: query -> hits
    twopass.reranker    scores: (query, passage) -> float
    twopass.pipeline    both stages, fusion, evaluation, applications

Names are loaded when they are first used, so that ``import twopass`` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from twopass.pipeline import (
        PipelineError,
        Ranking,
        SearchPipeline,
        Settings,
        build_pipeline,
        evaluate,
        load_settings,
    )
    from twopass.pipeline.fusion import fusion
    from twopass.reranker import (
        BatchingScorer,
        BiEncoderScorer,
        CachingScorer,
        CalibratedScorer,
        Calibration,
        Cascade,
        CrossEncoder,
        FallbackScorer,
        PairScorer,
        PassageScorer,
        RemoteScorer,
        RerankerError,
        Scores,
    )
    from twopass.retriever import (
        BM25Index,
        Document,
        ElasticsearchRetriever,
        Filter,
        Hits,
        Lucene,
        RankBM25Retriever,
        Retriever,
        RetrieverError,
        parse_filter,
        read_documents,
        read_qrels,
        read_queries,
    )

    __version__: str

_PACKAGES = {
    "twopass.retriever": (
        *("BM25Index", "Document", "ElasticsearchRetriever", "Filter", "Hits", "Lucene"),
        *("RankBM25Retriever", "Retriever", "RetrieverError", "parse_filter", "read_documents"),
        *("read_qrels", "read_queries"),
    ),
    "twopass.reranker": (
        *("BatchingScorer", "BiEncoderScorer", "CachingScorer", "CalibratedScorer", "Calibration"),
        *("Cascade", "CrossEncoder", "FallbackScorer", "PairScorer", "PassageScorer"),
        *("RemoteScorer", "RerankerError", "Scores"),
    ),
    "twopass.pipeline": (
        *("PipelineError", "Ranking", "SearchPipeline", "Settings", "build_pipeline", "evaluate"),
        "load_settings",
    ),
    "twopass.pipeline.fusion": ("fusion",),
}
_HOME = {name: package for package, names in _PACKAGES.items() for name in names}

__all__ = [
    "BM25Index",
    "BatchingScorer",
    "BiEncoderScorer",
    "CachingScorer",
    "CalibratedScorer",
    "Calibration",
    "Cascade",
    "CrossEncoder",
    "Document",
    "ElasticsearchRetriever",
    "FallbackScorer",
    "Filter",
    "Hits",
    "Lucene",
    "PairScorer",
    "PassageScorer",
    "PipelineError",
    "RankBM25Retriever",
    "Ranking",
    "RemoteScorer",
    "RerankerError",
    "Retriever",
    "RetrieverError",
    "Scores",
    "SearchPipeline",
    "Settings",
    "__version__",
    "build_pipeline",
    "evaluate",
    "fusion",
    "load_settings",
    "parse_filter",
    "read_documents",
    "read_qrels",
    "read_queries",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("twopass")
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
