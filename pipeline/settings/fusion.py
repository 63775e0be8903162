"""How both stages' scores become one, as a setting."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, model_validator

from pipeline.errors import FusionError
from pipeline.fusion import fusion

__all__ = ["FusionSettings"]

_PAIR = [0.3, 0.7]  # weights of the first stage and the second
_CASCADE = [0.1, 0.2, 0.7]  # of the first stage, of what chooses, of what reads the chosen


class FusionSettings(BaseModel):
    """How both stages' scores become one.

    All keys beside the method are its parameters (``weights``, ``normalizer``, ``alpha``, ...).
    Where none is given, ``weighted`` counts the first stage 0.3 and the second 0.7 (see
    ``benchmarks/choose_fusion.py``), and in a cascade of two models 0.1, 0.2 and 0.7.

    Attributes:
        method: a name that ``pipeline.fusion.fusions()`` lists.

    """

    model_config = ConfigDict(frozen=True, extra="allow")

    method: str = "weighted"

    @model_validator(mode="before")
    @classmethod
    def _decode(cls, values: Any) -> Any:
        """Read what environment variables can only say as text: lists, numbers, objects."""
        if not isinstance(values, Mapping):
            return values
        return {name: _from_json(value) for name, value in values.items()}

    @property
    def parameters(self) -> dict[str, Any]:
        """What the method is given for the scores of two stages."""
        return self.parameters_for(2)

    def parameters_for(self, opinions: int) -> dict[str, Any]:
        """Return what the method is given for so many score columns."""
        if self.method == "weighted" and not self.model_extra:
            return {"weights": list(_CASCADE if opinions == 3 else _PAIR)}
        return dict(self.model_extra or {})

    @model_validator(mode="after")
    def _check(self) -> Self:
        try:
            fusion(self.method, **self.parameters)
        except (FusionError, TypeError) as error:
            raise ValueError(str(error)) from error
        return self


def _from_json(value: Any) -> Any:
    try:
        return json.loads(value) if isinstance(value, str) else value
    except ValueError:
        return value
