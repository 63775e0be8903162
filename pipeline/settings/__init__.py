"""Settings: a file, the environment and arguments, in rising precedence.

::

    # twopass.toml in the working directory, or the file that TWOPASS_CONFIG names
    depth = 100
    [retriever]
    index = "my-index"
    [reranker]
    model = "twopass/default"
    [fusion]
    method = "weighted"
    weights = [0.3, 0.7]

In the environment the same are ``TWOPASS_DEPTH``, ``TWOPASS_RETRIEVER__INDEX``,
``TWOPASS_FUSION__WEIGHTS='[0.3, 0.7]'``; in Python
``load_settings({"depth": 100, "fusion.weights": [0.3, 0.7]})``.
"""

from __future__ import annotations

from pipeline.settings.loading import load_settings
from pipeline.settings.serve import ServeSettings
from pipeline.settings.values import (
    FusionSettings,
    ProxySettings,
    RerankerSettings,
    RetrieverSettings,
    Settings,
    TrainSettings,
)

__all__ = [
    "FusionSettings",
    "ProxySettings",
    "RerankerSettings",
    "RetrieverSettings",
    "ServeSettings",
    "Settings",
    "TrainSettings",
    "load_settings",
]
