"""Settings -> the fusion, and both stages put together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.assembly.retrieving import build_retriever
from pipeline.assembly.scoring import build_scorer

if TYPE_CHECKING:
    from pipeline.fusion import Fusion
    from pipeline.search import SearchPipeline
    from pipeline.settings import Settings
    from retriever import Retriever

__all__ = ["assemble", "build_fusion", "build_pipeline"]


def build_fusion(settings: Settings) -> Fusion:
    """Choose how the stages' scores become one."""
    from pipeline.fusion import fusion

    own = settings.fusion
    two, three = (fusion(own.method, **own.parameters_for(opinions)) for opinions in (2, 3))
    return lambda columns: (three if len(columns) == 3 else two)(columns)


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

    rerank = rerank and settings.rerank
    return SearchPipeline(
        retriever,
        build_scorer(settings) if rerank else None,
        build_fusion(settings),
        depth=settings.depth,
        deadline=settings.deadline,
        min_score=settings.min_score if rerank else None,
    )
