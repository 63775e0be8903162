"""Settings -> objects: the one place where classes are chosen by name."""

from __future__ import annotations

from pipeline.assembly.models import (
    build_encoder,
    build_teacher,
    calibration_file,
    model_source,
    stored_folder,
    weights_fingerprint,
)
from pipeline.assembly.pipelines import assemble, build_fusion, build_pipeline
from pipeline.assembly.retrieving import build_connection, build_index, build_retriever
from pipeline.assembly.scoring import build_chooser, build_model, build_reader, build_scorer

__all__ = [
    "assemble",
    "build_chooser",
    "build_connection",
    "build_encoder",
    "build_fusion",
    "build_index",
    "build_model",
    "build_pipeline",
    "build_reader",
    "build_retriever",
    "build_scorer",
    "build_teacher",
    "calibration_file",
    "model_source",
    "stored_folder",
    "weights_fingerprint",
]
