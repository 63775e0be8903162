"""Where a search server is, who asks, and what its index is like."""

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
        url: the server's address; those of several nodes with commas between them.
        api_key: for Elasticsearch, where it asks for one.
        username: for a server that asks for one; with ``password``.
        password: the user's.
        ca_certs: file of certificates by which the server is to be trusted.
        timeout: seconds that a request may take.
        retries: how often a request is sent again that the server is too busy for.
        search_fields: fields that queries are matched with, as ``title^2,body``, where the index
            is not one of ours.
        title_field: where the title is; empty for none.
        text_fields: where the text is, as ``abstract,body``.
        metadata_field: the object whose fields filters name; empty for the document itself.
        template: a query with ``{query}`` in its strings, in place of matching ``search_fields``.
        routing: searches only the shards of this value.
        global_statistics: score by the documents of all shards together, as one shard would.
        shards: of an index that is made there.
        replicas: further copies of each.

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
    """Read names from a list, or from a text with commas between them."""
    names = value.split(",") if isinstance(value, str) else value
    return tuple(name.strip() for name in names if name.strip())
