"""Settings -> encoders and teachers, and the files that belong to a model or an index."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from twopass.pipeline.apps.assembly.retrievers import stored_folder
from twopass.pipeline.errors import SettingsError
from twopass.plugins import load_plugin, plugin_names

if TYPE_CHECKING:
    from twopass.pipeline.apps.settings import RerankerSettings, Settings
    from twopass.reranker import BiEncoderScorer, PairScorer

__all__ = [
    "build_encoder",
    "build_plugin",
    "build_teacher",
    "calibration_file",
    "is_plugin",
    "model_source",
    "reads_pairs",
    "weights_fingerprint",
]

_PLUGIN = "plugin:"
_GROUP = "twopass.scorers"


def build_encoder(settings: Settings) -> BiEncoderScorer:
    """Load the cascade's encoder.

    Raises:
        SettingsError: when none is named.
        RerankerError: when it cannot be loaded.

    """
    from twopass.reranker.scorers.encoders import BiEncoderScorer

    cascade, name = settings.reranker.cascade, settings.reranker.cheap_model
    if name is None:
        raise SettingsError("reranker.cascade.model: expected an encoder, found none")
    first = None if settings.reranker.device is None else settings.reranker.device.split(",")[0]
    return BiEncoderScorer(
        name,
        device=first,
        pooling=cascade.pooling,
        query_prefix=cascade.query_prefix,
        passage_prefix=cascade.passage_prefix,
        stored=stored_folder(settings.retriever, "embeddings"),
    )


def build_teacher(settings: Settings, name: str) -> PairScorer:
    """Load a teacher: a cross-encoder that returns logits, or an encoder.

    Raises:
        RerankerError: when the model cannot be loaded.

    """
    train, source = settings.train, model_source(settings, name)
    if reads_pairs(source):
        from twopass.reranker.scorers.cross_encoder import CrossEncoder

        return CrossEncoder(source, device=train.device, activation_fn=lambda logits: logits)
    from twopass.reranker.scorers.encoders import BiEncoderScorer

    return BiEncoderScorer(source, device=train.device)


def is_plugin(model: str) -> bool:
    """Say whether a model is the scorer of another distribution: ``plugin:NAME``."""
    return model.startswith(_PLUGIN)


def build_plugin(reranker: RerankerSettings, model: str) -> PairScorer:
    """Make the scorer of an entry point of the group ``twopass.scorers``.

    Its object is called with the settings of the second stage and returns a scorer: an object with
    ``predict(pairs)``, which several threads may call.

    Raises:
        SettingsError: when there is none of that name, or a setting needs a model's tokens.

    """
    name = model.removeprefix(_PLUGIN)
    build = load_plugin(_GROUP, name)
    if build is None:
        known = ", ".join(plugin_names(_GROUP)) or "none"
        raise SettingsError(f"reranker.model: expected a plugin of: {known}; found {name!r}")
    if reranker.passages.reading is not None:
        raise SettingsError("reranker.passages: expected a model with a tokeniser, found a plugin")
    scorer: PairScorer = build(reranker)
    return scorer


def reads_pairs(model: str) -> bool:
    """Return whether a model is a cross-encoder, by its configuration; others are encoders.

    Raises:
        RerankerError: when the model cannot be loaded.

    """
    if is_plugin(model):
        return True
    from twopass.reranker.files.model_folder import ModelFolder, locate_model

    kinds = ModelFolder.read(locate_model(model)).config.get("architectures") or [""]
    return str(kinds[0]).endswith("ForSequenceClassification")


def model_source(settings: Settings, name: str) -> str:
    """Return the local copy's folder of a model named in the training settings, or its name.

    A copy is a folder in ``train.models`` with the last part of the name.
    """
    if settings.train.models is not None:
        local = settings.train.models / name.rpartition("/")[2]
        if local.is_dir():
            return str(local)
    return name


def calibration_file(reranker: RerankerSettings) -> Path:
    """Return the file of the settings' calibration.

    Raises:
        RerankerError: when it is beside a model that cannot be found.

    """
    from twopass.reranker.files.model_folder import locate_model
    from twopass.reranker.scorers.calibration import calibration_path

    name = reranker.calibration or "default"
    if name.endswith(".json"):
        return Path(name)
    return calibration_path(name, locate_model(reranker.model))


def weights_fingerprint(reranker: RerankerSettings) -> str:
    """Return a fingerprint of the model's files; empty for a service or a plugin.

    Raises:
        RerankerError: when the model cannot be loaded.

    """
    from twopass.reranker.files.model_folder import locate_model, model_fingerprint

    if "model" not in reranker.chain or is_plugin(reranker.model):
        return ""
    return model_fingerprint(locate_model(reranker.model), {})
