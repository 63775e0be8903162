"""Settings of a search server: address, credentials, and the fields of its index."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from twopass.retriever.elastic.queries import IndexFields, QueryTemplate
from twopass.retriever.errors import RetrieverError

__all__ = ["ServerSettings"]


class ServerSettings(BaseModel):
    """An index on Elasticsearch or OpenSearch.

    Attributes:
        url: the server's address; several nodes are separated by commas.
        api_key: for Elasticsearch, if it requires one.
        username: for a server that requires one; with ``password``.
        password: the user's.
        ca_certs: file of CA certificates to verify the server with.
        timeout: time limit of a request, in seconds.
        retries: how often a request is repeated when the server is too busy.
        search_fields: fields to search, as ``title^2,body``, if twopass did not create the index.
        title_field: the field with the title; empty for none.
        text_fields: the fields with the text, as ``abstract,body``.
        metadata_field: the object with the fields for filters; empty for the document itself.
        template: a query with ``{query}`` in its strings, instead of matching ``search_fields``.
        routing: search only the shards of this routing value.
        global_statistics: use the term statistics of all shards together, as one shard would.
        shards: shards of a new index.
        replicas: replicas of each shard.

    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str | None = None
    api_key: SecretStr | None = None
    username: str | None = None
    password: SecretStr | None = None
    ca_certs: Path | None = None
    timeout: Annotated[float, Field(gt=0)] = 30
    retries: Annotated[int, Field(ge=0)] = 3
    search_fields: str | tuple[str, ...] = "contents"
    title_field: str = "title"
    text_fields: str | tuple[str, ...] = "text"
    metadata_field: str = "metadata"
    template: str | Mapping[str, Any] | None = None
    routing: str | None = None
    global_statistics: bool = False
    shards: Annotated[int, Field(ge=1)] = 1
    replicas: Annotated[int, Field(ge=0)] = 0

    @property
    def urls(self) -> tuple[str, ...]:
        """The addresses."""
        return _names(self.url or "")

    @property
    def index_fields(self) -> IndexFields:
        """The index's fields."""
        return IndexFields(
            search=_names(self.search_fields),
            title=self.title_field,
            text=_names(self.text_fields),
            metadata=self.metadata_field,
        )

    @model_validator(mode="after")
    def _check_queries(self) -> Self:
        try:
            _ = self.index_fields, self.template is None or QueryTemplate(self.template)
        except RetrieverError as error:
            raise ValueError(str(error)) from error
        return self


def _names(value: str | tuple[str, ...]) -> tuple[str, ...]:
    """Split names separated by commas, or return a list's."""
    names = value.split(",") if isinstance(value, str) else value
    return tuple(name.strip() for name in names if name.strip())
