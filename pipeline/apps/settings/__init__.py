"""Settings from a file, the environment and arguments, in rising precedence.

::

    # twopass.toml in the working directory, or the file given by TWOPASS_CONFIG
    depth = 100
    [retriever]
    index = "my-index"
    [reranker]
    model = "twopass/default"
    [fusion]
    method = "weighted"
    weights = [0.3, 0.7]

In the environment these are ``TWOPASS_DEPTH``, ``TWOPASS_RETRIEVER__INDEX``,
``TWOPASS_FUSION__WEIGHTS='[0.3, 0.7]'``; in Python
``load_settings({"depth": 100, "fusion.weights": [0.3, 0.7]})``.
"""

from __future__ import annotations

from twopass.pipeline.apps.settings.second_stage import FusionSettings
from twopass.pipeline.apps.settings.serve import ProxySettings, ServeSettings
from twopass.pipeline.apps.settings.sources import load_settings
from twopass.pipeline.apps.settings.train import TrainSettings
from twopass.pipeline.apps.settings.values import RerankerSettings, RetrieverSettings, Settings

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
