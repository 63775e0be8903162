"""Scores as probabilities: fitted on judged data, kept by name, measured by how they hold."""

from __future__ import annotations

from reranker.calibration.calibration import Calibration, calibration_path, uncalibrated
from reranker.calibration.fitting import Method
from reranker.calibration.reliability import Reliability, draw, reliability
from reranker.calibration.scorer import CalibratedScorer

__all__ = [
    "CalibratedScorer",
    "Calibration",
    "Method",
    "Reliability",
    "calibration_path",
    "draw",
    "reliability",
    "uncalibrated",
]
