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
    """How the model reads documents that are too long for it.

    Attributes:
        aggregation: how the scores of a document's passages are combined: ``max``, ``mean`` (of the
            best ``top``) or ``first``; with ``none`` the document is truncated instead.
        window: maximum tokens per passage; never more than fit beside the query.
        overlap: maximum tokens that neighbouring passages share.
        max_passages: maximum passages per document.
        top: how many of the best passages ``mean`` averages.

    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    aggregation: Literal["none", "max", "mean", "first"] = "none"
    window: _Count = 128
    overlap: Annotated[int, Field(ge=0)] = Reading.overlap
    max_passages: _Count = 4
    top: _Count = Reading.top

    @property
    def reading(self) -> Reading | None:
        """The scorer's options; None if no passages are read."""
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
        keep: how many candidates per query the model then reads.
        pooling: of an encoder's vectors; None, here and below, for the values in its files.
        query_prefix: text put before a query.
        passage_prefix: text put before a passage.

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
        url: its address; None for none. It replaces the model, unless ``reranker.fallback`` names
            it.
        dialect: cohere-v1, cohere-v2, jina, tei or vllm; ``twopass serve`` supports all of them.
        model: the model's name, for services with several models.
        api_key: if the service requires one.
        max_texts: maximum texts per request.
        timeout: time limit of a request, in seconds.

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
    """A cache of scores by model, query and text.

    Attributes:
        megabytes: maximum memory; None caches nothing, unless there is a folder.
        folder: keeps the cache on disk, shared by all processes; None for memory only.
        folder_megabytes: maximum disk space.

    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    megabytes: _Positive | None = None
    folder: Path | None = None
    folder_megabytes: _Positive = 1024


_PAIR = [0.3, 0.7]  # weights of the first stage and the second
_CASCADE = [0.1, 0.2, 0.7]  # of the first stage, of what chooses, of what reads the chosen


class FusionSettings(BaseModel):
    """How the scores of both stages are combined.

    All keys except the method are its parameters (``weights``, ``normalizer``, ``alpha``, ...).
    By default, ``weighted`` weighs the first stage 0.3 and the second 0.7 (see
    ``benchmarks/choose_fusion.py``), and in a cascade of two models 0.1, 0.2 and 0.7.

    Attributes:
        method: a name that ``twopass.pipeline.fusion.fusions()`` lists.

    """

    model_config = ConfigDict(frozen=True, extra="allow")

    method: str = "weighted"

    @model_validator(mode="before")
    @classmethod
    def _decode(cls, values: Any) -> Any:
        """Parse values of environment variables: lists, numbers and objects as JSON."""
        if not isinstance(values, Mapping):
            return values
        return {name: _from_json(value) for name, value in values.items()}

    @property
    def parameters(self) -> dict[str, Any]:
        """The method's parameters for two score columns."""
        return self.parameters_for(2)

    def parameters_for(self, opinions: int) -> dict[str, Any]:
        """Return the method's parameters for this number of score columns."""
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
