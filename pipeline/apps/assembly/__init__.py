"""Settings -> the fusion, and the pipeline of both stages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twopass.pipeline.apps.assembly.models import (
    build_encoder,
    build_teacher,
    calibration_file,
    model_source,
    weights_fingerprint,
)
from twopass.pipeline.apps.assembly.retrievers import (
    build_connection,
    build_index,
    build_retriever,
    retriever_kind,
    stored_folder,
)
from twopass.pipeline.apps.assembly.scorers import (
    build_cheap_scorer,
    build_final_scorer,
    build_model,
    build_scorer,
)

if TYPE_CHECKING:
    from twopass.pipeline.apps.settings import Settings
    from twopass.pipeline.fusion import Fusion
    from twopass.pipeline.search import SearchPipeline
    from twopass.retriever import Retriever

__all__ = [
    "assemble_pipeline",
    "build_cheap_scorer",
    "build_connection",
    "build_encoder",
    "build_final_scorer",
    "build_fusion",
    "build_index",
    "build_model",
    "build_pipeline",
    "build_retriever",
    "build_scorer",
    "build_teacher",
    "calibration_file",
    "model_source",
    "retriever_kind",
    "stored_folder",
    "weights_fingerprint",
]


def build_fusion(settings: Settings) -> Fusion:
    """Return the fusion of the settings, for two score columns and for three (with a cascade)."""
    from twopass.pipeline.fusion import by_number, fusion

    own = settings.fusion
    two, three = (fusion(own.method, **own.parameters_for(opinions)) for opinions in (2, 3))
    return by_number({3: three}, two)


def build_pipeline(settings: Settings, *, rerank: bool = True) -> SearchPipeline:
    """Return the pipeline that the settings describe; without reranking, the first stage only.

    ::

        pipeline = build_pipeline(load_settings({"retriever.index": "my-index"}))
        ranking = pipeline.search("can stress cause a heart attack?", k=5)

    Raises:
        SettingsError: when no index is named.
        RetrieverError: when it cannot be opened.
        RerankerError: when the model cannot be loaded.

    """
    return assemble_pipeline(build_retriever(settings), settings, rerank=rerank)


def assemble_pipeline(
    retriever: Retriever, settings: Settings, *, rerank: bool = True
) -> SearchPipeline:
    """Return a pipeline of an open retriever and the settings' second stage.

    Raises:
        RerankerError: when the model cannot be loaded.

    """
    from twopass.pipeline.search import SearchPipeline

    rerank = rerank and settings.rerank
    return SearchPipeline(
        retriever,
        build_scorer(settings) if rerank else None,
        build_fusion(settings),
        depth=settings.depth,
        deadline=settings.deadline,
        min_score=settings.min_score if rerank else None,
    )
