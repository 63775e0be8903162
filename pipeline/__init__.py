"""Both stages as one search, and what people run: settings, evaluation, commands.

Names are loaded when they are first used, so that importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from twopass.pipeline.apps.assembly import build_pipeline
    from twopass.pipeline.apps.settings import Settings, load_settings
    from twopass.pipeline.errors import PipelineError
    from twopass.pipeline.evaluation import evaluate
    from twopass.pipeline.fusion import Fusion
    from twopass.pipeline.ranking import Ranking
    from twopass.pipeline.search import SearchPipeline

_HOME = {
    "Fusion": "twopass.pipeline.fusion",
    "PipelineError": "twopass.pipeline.errors",
    "Ranking": "twopass.pipeline.ranking",
    "SearchPipeline": "twopass.pipeline.search",
    "Settings": "twopass.pipeline.apps.settings",
    "build_pipeline": "twopass.pipeline.apps.assembly",
    "evaluate": "twopass.pipeline.evaluation",
    "load_settings": "twopass.pipeline.apps.settings",
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
