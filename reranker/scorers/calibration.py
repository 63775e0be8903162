"""A calibration by name, and the scorer that applies it."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twopass.reranker.contract.errors import InputError, ModelError, RerankerError
from twopass.reranker.contract.scorer import PairScorer, Wrapper, derived_fingerprint
from twopass.reranker.contract.scores import Scores
from twopass.reranker.scorers.calibration_curves import (
    MAPS,
    CalibrationMap,
    Floats,
    Method,
    fit,
    sigmoid,
)

__all__ = [
    "CalibratedScorer",
    "Calibration",
    "are_probabilities",
    "calibration_path",
    "uncalibrated",
]


_FORMAT = 1
_FOLDER = "calibration"
_TINY = 1e-7  # float32 knows no nearer neighbour of 1


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """Turns a scorer's scores into probabilities of relevance.

    Attributes:
        function: from a logit to a probability.
        from_probabilities: whether the scorer itself gives numbers from 0 to 1, whose logits the
            function then takes.
        scorer: whose scores it was fitted on.
        fingerprint: of that scorer's weights; empty where they were not known.
        about: data, counts and errors, as whoever fitted it wrote them down.

    """

    function: CalibrationMap
    from_probabilities: bool = False
    scorer: str = ""
    fingerprint: str = ""
    about: Mapping[str, Any] = field(default_factory=dict)

    def __call__(self, scores: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return (n,) float32 probabilities; NaN where there is no score."""
        logits = scores.astype(np.float64)
        if self.from_probabilities:
            logits = _logits(logits)
        return self.function(logits).astype(np.float32)

    @classmethod
    def fit(
        cls,
        method: Method,
        scores: NDArray[np.float32],
        relevant: NDArray[np.bool_],
        *,
        scorer: str = "",
        fingerprint: str = "",
        about: Mapping[str, Any] | None = None,
    ) -> Calibration:
        """Fit to judged pairs; see :func:`~twopass.reranker.scorers.calibration_curves.fit`.

        Scores that are all from 0 to 1 are taken for a sigmoid's.

        Raises:
            InputError: when the method is unknown or the data do not do.

        """
        wide = np.asarray(scores, dtype=np.float64)
        squeezed = are_probabilities(wide)
        function = fit(method, _logits(wide) if squeezed else wide, np.asarray(relevant, bool))
        return cls(function, squeezed, scorer, fingerprint, dict(about or {}))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it as JSON, whole or not at all.

        Raises:
            RerankerError: when the system does not let it be written.

        """
        target = Path(path)
        record = {
            "format": _FORMAT,
            "kind": self.function.kind,
            "parameters": self.function.parameters(),
            "from_probabilities": self.from_probabilities,
            "scorer": self.scorer,
            "fingerprint": self.fingerprint,
            "about": dict(self.about),
        }
        partial = target.with_name(f".{target.name}-{secrets.token_hex(4)}")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            partial.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", "utf-8")
            partial.replace(target)
        except OSError as error:
            partial.unlink(missing_ok=True)
            raise RerankerError(
                f"{target}: the calibration could not be written ({error.strerror or error}); "
                "name a file elsewhere"
            ) from error

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Calibration:
        """Read what :meth:`save` wrote.

        Raises:
            ModelError: when there is no such file, or it is no calibration.

        """
        source = Path(path)
        try:
            record = json.loads(source.read_text(encoding="utf-8"))
            if record.get("format") != _FORMAT:
                raise ValueError(f"format {record.get('format')!r} where {_FORMAT} is known")
            function = MAPS[record["kind"]](**record["parameters"])
            squeezed, scorer = bool(record["from_probabilities"]), str(record["scorer"])
            fingerprint = str(record.get("fingerprint", ""))
            return cls(function, squeezed, scorer, fingerprint, record.get("about", {}))
        except FileNotFoundError as error:
            raise ModelError(
                f"expected a calibration in {str(source)!r}, found none{_known(source.parent)}; "
                "make one with 'twopass calibrate'"
            ) from error
        except (OSError, ValueError, KeyError, TypeError, AttributeError, InputError) as error:
            raise ModelError(f"{source}: expected a calibration, found: {error!r:.200}") from error


def calibration_path(name: str, model: Path) -> Path:
    """Return where a calibration stands: beside the model by name, or in the file that is named.

    Args:
        name: a plain name, or a path: what ends in ``.json`` or has a separator.
        model: the model's folder.

    """
    is_path = name.endswith(".json") or os.sep in name
    return Path(name) if is_path else model / _FOLDER / f"{name}.json"


def are_probabilities(scores: Floats) -> bool:
    """Say whether all scores are from 0 to 1."""
    return bool(((scores >= 0) & (scores <= 1)).all())


def uncalibrated(scores: NDArray[np.float32]) -> Floats:
    """Return what the scores would be taken for without calibration: themselves or a sigmoid."""
    wide = scores.astype(np.float64)
    return wide if are_probabilities(wide) else sigmoid(wide)


def _logits(probabilities: Floats) -> Floats:
    inner = np.clip(probabilities, _TINY, 1 - _TINY)
    return np.log(inner) - np.log1p(-inner)


def _known(folder: Path) -> str:
    names = sorted(path.stem for path in folder.glob("*.json")) if folder.is_dir() else []
    return f"; there are {', '.join(names)}" if names else ""


class CalibratedScorer(Wrapper):
    """Adds to each score the probability that the pair is relevant.

    The scores stay as they are, and with them every order and every fusion: the probabilities are
    a column of their own, :attr:`~twopass.reranker.contract.scores.Scores.probabilities`. There
    are none where another scorer answered than the one that was calibrated, as in a chain that
    fell back: a threshold on them never means something else than it did.

    Args:
        scorer: what scores.
        calibration: fitted to its scores.
        by: the name that the calibrated scorer signs with (``Scores.by``); None for whichever.

    """

    def __init__(
        self, scorer: PairScorer, calibration: Calibration, *, by: str | None = None
    ) -> None:
        super().__init__(scorer)
        self._calibration = calibration
        self._by = by

    @property
    def fingerprint(self) -> str | None:
        """The scorer's, changed by the calibration."""
        function, wide = self._calibration.function, self._calibration.from_probabilities
        change = (function.kind, dict(function.parameters()), wide, self._by)
        return derived_fingerprint(self.inner.fingerprint, change)

    def probabilities(self, pairs: Sequence[tuple[str, str]]) -> NDArray[np.float32]:
        """Return the probability that each pair is relevant, (n,) float32."""
        return self._calibration(self.predict(pairs))

    def score(self, pairs: Sequence[tuple[str, str]], *, deadline: float | None = None) -> Scores:
        """Return what the scorer says, with probabilities."""
        found = self.inner.score(pairs, deadline=deadline)
        if self._by not in (None, found.by):
            return found
        return replace(found, probabilities=self._calibration(found.values))
