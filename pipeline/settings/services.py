"""Sections of the second stage: a service that scores, and scores that are kept."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from reranker.remote.dialects import DialectName

__all__ = ["CacheSettings", "RemoteSettings"]

_Positive = Annotated[float, Field(gt=0)]
_Count = Annotated[int, Field(ge=1)]


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
    dialect: DialectName = "cohere-v2"
    model: str | None = None
    api_key: SecretStr | None = None
    max_texts: _Count = 1000
    timeout: _Positive = 30.0


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
