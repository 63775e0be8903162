"""Sections of the second stage: how long documents are read, and what reads before it."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from reranker.base import InputError
from reranker.passages.reading import Reading

__all__ = ["CascadeSettings", "PassagesSettings"]

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
