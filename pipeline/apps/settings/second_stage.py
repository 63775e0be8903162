"""Settings of the second stage: passages, cascade, remote service, cache, and fusion."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from twopass.pipeline.errors import FusionError
from twopass.pipeline.fusion import fusion
from twopass.reranker.contract.errors import InputError
from twopass.reranker.scorers.passages import Reading
from twopass.reranker.scorers.remote import dialects

__all__ = [
    "CacheSettings",
    "CascadeSettings",
    "FusionSettings",
    "PassagesSettings",
    "RemoteSettings",
]


_Count = Annotated[int, Field(ge=1)]


class PassagesSettings(BaseModel):
    """How documents are read that are too long for the model.

    Attributes:
        aggregation: how the scores of a document's passages become one: ``max``, ``mean`` (of the
            best ``top``) or ``first``; ``none`` reads no passages: the document is cut where the
            model ends.
        window: tokens a passage at most; never more than fit beside the query.
        overlap: tokens that neighbouring passages share at most.
        max_passages: how many passages of a document are read at most.
        top: of how many of the best ``mean`` is the mean.

    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    aggregation: Literal["none", "max", "mean", "first"] = "none"
    window: _Count = 128
    overlap: Annotated[int, Field(ge=0)] = Reading.overlap
    max_passages: _Count = 4
    top: _Count = Reading.top

    @property
    def reading(self) -> Reading | None:
        """The same for the scorer; None where no passages are read."""
        if self.aggregation == "none":
            return None
        return Reading(self.window, self.overlap, self.max_passages, self.aggregation, self.top)

    @model_validator(mode="after")
    def _check(self) -> Self:
        try:
            Reading(self.window, self.overlap)
        except InputError as error:
            raise ValueError(str(error)) from error
        return self


class CascadeSettings(BaseModel):
    """A cheap scorer before the model: a smaller cross-encoder, or an encoder of single texts.

    Attributes:
        model: auto, which is ``twopass/tiny`` before ``twopass/default`` and nothing before other
            models; none; or a folder or name of any cross-encoder, or of an encoder, whose
            embeddings are compared.
        keep: how many candidates of a query the model then reads.
        pooling: of an encoder's vectors; None, here and below, for what its files say.
        query_prefix: what is set before a query.
        passage_prefix: what is set before a passage.

    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str = "auto"
    keep: _Count = 30
    pooling: Literal["mean", "cls", "max", "last"] | None = None
    query_prefix: str | None = None
    passage_prefix: str | None = None


_Positive = Annotated[float, Field(gt=0)]


class RemoteSettings(BaseModel):
    """A rerank service over HTTP.

    Attributes:
        url: its address; None for none. Where ``reranker.fallback`` does not name it, it scores
            instead of the model.
        dialect: cohere-v1, cohere-v2, jina, tei or vllm; ``twopass serve`` speaks them all.
        model: the model's name there, for services that have several.
        api_key: where it asks for one.
        max_texts: texts a request at most.
        timeout: seconds to wait for an answer.

    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str | None = None
    dialect: str = "cohere-v2"
    model: str | None = None
    api_key: SecretStr | None = None
    max_texts: _Count = 1000
    timeout: _Positive = 30.0

    @field_validator("dialect")
    @classmethod
    def _check_dialect(cls, name: str) -> str:
        try:
            dialects.dialect(name)
        except InputError as error:
            raise ValueError(str(error)) from error
        return name


class CacheSettings(BaseModel):
    """Scores that are kept, by model, query and text.

    Attributes:
        megabytes: of memory at most; None keeps none, unless there is a folder.
        folder: where they are kept beyond the process, for all processes; None for nowhere.
        folder_megabytes: of disk at most.

    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    megabytes: _Positive | None = None
    folder: Path | None = None
    folder_megabytes: _Positive = 1024


_PAIR = [0.3, 0.7]  # weights of the first stage and the second
_CASCADE = [0.1, 0.2, 0.7]  # of the first stage, of what chooses, of what reads the chosen


class FusionSettings(BaseModel):
    """How both stages' scores become one.

    All keys beside the method are its parameters (``weights``, ``normalizer``, ``alpha``, ...).
    Where none is given, ``weighted`` counts the first stage 0.3 and the second 0.7 (see
    ``benchmarks/choose_fusion.py``), and in a cascade of two models 0.1, 0.2 and 0.7.

    Attributes:
        method: a name that ``twopass.pipeline.fusion.fusions()`` lists.

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
