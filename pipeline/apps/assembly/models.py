"""Settings -> encoders and teachers, and the files that belong to a model or an index."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from twopass.pipeline.errors import SettingsError

if TYPE_CHECKING:
    from twopass.pipeline.apps.settings import RerankerSettings, RetrieverSettings, Settings
    from twopass.reranker import BiEncoderScorer, PairScorer

__all__ = [
    "build_encoder",
    "build_teacher",
    "calibration_file",
    "model_source",
    "reads_pairs",
    "stored_folder",
    "weights_fingerprint",
]


def build_encoder(settings: Settings) -> BiEncoderScorer:
    """Load the cascade's encoder.

    Raises:
        SettingsError: when none is named.
        RerankerError: when it cannot be loaded.

    """
    from twopass.reranker.scorers.encoders import BiEncoderScorer

    cascade, name = settings.reranker.cascade, settings.reranker.chooser
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


def reads_pairs(model: str) -> bool:
    """Return whether a model is a cross-encoder, by its configuration; others are encoders.

    Raises:
        RerankerError: when the model cannot be loaded.

    """
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


def stored_folder(
    retriever: RetrieverSettings, kind: Literal["tokens", "embeddings"]
) -> Path | None:
    """Return where an index in a folder keeps token ids or embeddings of its documents."""
    if retriever.index is None or retriever.kind not in ("bm25", "rank-bm25"):
        return None
    return Path(retriever.index) / kind


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
    """Return a fingerprint of the model's files; empty for a service.

    Raises:
        RerankerError: when the model cannot be loaded.

    """
    from twopass.reranker.files.model_folder import locate_model, model_fingerprint

    return model_fingerprint(locate_model(reranker.model), {}) if "model" in reranker.chain else ""
