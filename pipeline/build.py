"""Settings -> objects: the one place where classes are chosen by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import SettingsError

if TYPE_CHECKING:
    from pipeline.fusion import Fusion
    from pipeline.search import SearchPipeline
    from pipeline.settings import Settings
    from reranker import PairScorer
    from retriever import Retriever
    from retriever.bm25.index import BM25Index
    from retriever.documents import Document

__all__ = [
    "assemble",
    "build_fusion",
    "build_index",
    "build_pipeline",
    "build_retriever",
    "build_scorer",
]


def build_retriever(settings: Settings) -> Retriever:
    """Open the first stage.

    Raises:
        SettingsError: when no index is named.
        RetrieverError: when it cannot be opened.

    """
    from retriever.bm25.index import BM25Index

    if settings.retriever.index is None:
        raise SettingsError(
            "retriever.index: expected the folder of an index, found none; name it with --index, "
            "TWOPASS_RETRIEVER__INDEX or in twopass.toml, or build one with 'twopass index'"
        )
    return BM25Index.open(settings.retriever.index, scoring=settings.retriever.scoring)


def build_index(
    settings: Settings,
    documents: Iterable[Document],
    path: Path,
    *,
    overwrite: bool = False,
    progress: Callable[[int], None] | None = None,
) -> BM25Index:
    """Build an in-process index with the analyser and formula of the settings.

    Raises:
        RetrieverError: when a document cannot be read or the index cannot be written.

    """
    from retriever.bm25.fields import FieldWeights
    from retriever.bm25.index import BM25Index
    from retriever.scoring import Lucene

    retriever = settings.retriever
    return BM25Index.build(
        documents,
        path,
        analyzer=retriever.analyzer,
        scoring=retriever.scoring or Lucene(),
        weights=FieldWeights(retriever.title_weight, retriever.text_weight),
        threads=retriever.threads,
        overwrite=overwrite,
        progress=progress,
    )


def build_scorer(settings: Settings) -> PairScorer:
    """Load the second stage.

    Raises:
        RerankerError: when the model cannot be had.

    """
    from reranker.cross_encoder import CrossEncoder

    reranker = settings.reranker
    return CrossEncoder(
        reranker.model,
        device=reranker.device,
        max_length=reranker.max_length,
        precision=reranker.precision,
        token_budget=reranker.token_budget,
    )


def build_fusion(settings: Settings) -> Fusion:
    """Choose how both stages' scores become one."""
    from pipeline.fusion import fusion

    return fusion(settings.fusion.method, **settings.fusion.parameters)


def build_pipeline(settings: Settings, *, rerank: bool = True) -> SearchPipeline:
    """Put both stages together; without reranking, the first alone.

    Raises:
        SettingsError: when no index is named.
        RetrieverError: when it cannot be opened.
        RerankerError: when the model cannot be had.

    """
    return assemble(build_retriever(settings), settings, rerank=rerank)


def assemble(retriever: Retriever, settings: Settings, *, rerank: bool = True) -> SearchPipeline:
    """Put a retriever that is there already and the second stage together.

    Raises:
        RerankerError: when the model cannot be had.

    """
    from pipeline.search import SearchPipeline

    scorer = build_scorer(settings) if rerank else None
    return SearchPipeline(retriever, scorer, build_fusion(settings), depth=settings.depth)
