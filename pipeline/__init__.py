"""Both stages as one search, and what people run: settings, evaluation, commands.

Names are loaded when they are first used, so that importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipeline.assembly import build_pipeline
    from pipeline.errors import PipelineError
    from pipeline.evaluation import evaluate
    from pipeline.fusion import Fusion
    from pipeline.ranking import Ranking
    from pipeline.search import SearchPipeline
    from pipeline.settings import Settings, load_settings

_HOME = {
    "Fusion": "pipeline.fusion",
    "PipelineError": "pipeline.errors",
    "Ranking": "pipeline.ranking",
    "SearchPipeline": "pipeline.search",
    "Settings": "pipeline.settings",
    "build_pipeline": "pipeline.assembly",
    "evaluate": "pipeline.evaluation",
    "load_settings": "pipeline.settings",
}

__all__ = [
    "Fusion",
    "PipelineError",
    "Ranking",
    "SearchPipeline",
    "Settings",
    "build_pipeline",
    "evaluate",
    "load_settings",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
