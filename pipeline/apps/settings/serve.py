"""Settings of ``twopass serve``: address, keys, limits, and the ``_search`` proxy."""

from __future__ import annotations

import re
from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from twopass.pipeline.apps.settings.second_stage import FusionSettings

__all__ = [
    "NeuralRescore",
    "ProxySettings",
    "ServeSettings",
]


Count = Annotated[int, Field(ge=1)]
Seconds = Annotated[float, Field(gt=0)]

_HASHED = re.compile(r"sha256:[0-9a-f]{32}:[0-9a-f]{64}")


class ServeSettings(BaseModel):
    """The HTTP service.

    Attributes:
        host: the address to listen on; 0.0.0.0 for all of the machine's.
        port: the port to listen on; 0 chooses a free one.
        workers: number of processes, each with its own model and queue.
        hosts: names by which clients call the service, besides ``host``, localhost and addresses;
            requests to other names are refused, so that web pages of other sites cannot read
            answers. If it is empty, only a service on a loopback address checks names; ``*``
            accepts all.
        api_keys: hashes of accepted keys, as printed by ``twopass serve --hash-key``; without any,
            everybody has access.
        name: the model's name in answers; by default ``reranker.model``.
        models: further models by name, which a request may choose; each is loaded at start and uses
            the device, engine, passages and cache settings of ``reranker``.
        scores: what the scorer's numbers are: ``logits``, which are answered as their sigmoid, or
            ``probabilities``, which are answered unchanged; ``auto`` uses what the scorer states.
        max_body_bytes: maximum size of a request's body.
        max_bodies_bytes: maximum size of all bodies together that a worker is receiving or
            answering; beyond it, a request is refused with 429.
        max_connections: maximum connections per worker, and never more than half of the files
            that the process may open; beyond it, the one that has been idle longest is closed.
        header_timeout: seconds for a request's headers to arrive.
        body_timeout: seconds for a request's body to arrive, plus one per MiB; also for a client to
            read a part of its answer.
        keep_alive: seconds that an idle connection is kept open; longer than load balancers do, or
            it may be closed just as a request is sent.
        max_documents: maximum documents per request.
        max_characters: maximum characters per text; longer texts are refused, not truncated.
        max_queue: (query, document) pairs that wait or are being scored by a model, at most; a
            request beyond is refused with 429 and ``Retry-After``, but never the first one.
        deadline: seconds that a request may take, unless it asks for fewer; what the second
            stage has not scored by then is answered without it.
        drain: seconds that accepted requests are given to finish when the process is to end.
        judged: a folder in BEIR's layout; the page offers its judged queries and shows nDCG before
            and after reranking.
        judged_split: which of its qrels.
        logs: ``json`` for one object per line, or ``text``; ``auto`` is text on a terminal.
        forwarded_allow_ips: the proxies whose X-Forwarded headers are trusted.

    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8765
    workers: Count = 1
    hosts: tuple[str, ...] = ()
    api_keys: tuple[str, ...] = ()
    name: str | None = None
    models: Mapping[str, str] = {}
    scores: Literal["auto", "logits", "probabilities"] = "auto"
    max_body_bytes: Count = 16 * 1024 * 1024
    max_bodies_bytes: Count = 256 * 1024 * 1024
    max_connections: Count = 1_000
    header_timeout: Seconds = 20.0
    body_timeout: Seconds = 30.0
    keep_alive: Seconds = 75.0
    max_documents: Count = 1_000
    max_characters: Count = 1_000_000
    max_queue: Count = 8_192
    deadline: Seconds = 30.0
    drain: Seconds = 30.0
    judged: Path | None = None
    judged_split: str = "test"
    logs: Literal["auto", "json", "text"] = "auto"
    forwarded_allow_ips: str = "127.0.0.1"

    @field_validator("api_keys", "hosts", mode="before")
    @classmethod
    def _one_key(cls, keys: Any) -> Any:
        """Accept one key as a string."""
        return [keys] if isinstance(keys, str) else keys

    @field_validator("api_keys")
    @classmethod
    def _check_keys(cls, keys: tuple[str, ...]) -> tuple[str, ...]:
        for place, key in enumerate(keys):
            if not _HASHED.fullmatch(key):  # the message must not show what may be a key
                raise ValueError(
                    f"expected key {place} as 'twopass serve --hash-key' prints it: sha256:..."
                )
        return keys


class NeuralRescore(BaseModel):
    """How a search is reranked: the object ``rescore.neural`` of a request body.

    The same object can be in the header ``x-twopass-rescore``, in ``proxy.rerank`` and in
    ``proxy.indices``; each overrides the next, value by value.

    Attributes:
        enabled: whether to rerank.
        query: the query text for reranking; by default the words of the body's query.
        fields: the document fields to read; by default the fields that the query searches.
        window_size: how many of Elasticsearch's best hits are reranked.
        model: one of ``serve.models``, or the default's name; by default the default.
        fusion: a method's name, or an object with ``method`` and its parameters.
        deadline: seconds that reranking may take, or ``500ms``; what is not scored by then goes
            without.
        min_score: omit documents with a lower score of the second stage.
        details: add the scores of both stages to each hit, as ``fields._twopass``.

    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    enabled: bool | None = None
    query: Annotated[str, Field(min_length=1)] | None = None
    fields: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    window_size: Annotated[int, Field(ge=1, le=10_000)] | None = None
    model: str | None = None
    fusion: FusionSettings | None = None
    deadline: Seconds | None = None
    min_score: Annotated[float, Field(allow_inf_nan=False)] | None = None
    details: bool | None = None

    @field_validator("fields", mode="before")
    @classmethod
    def _names(cls, value: Any) -> Any:
        """Refuse the first that is no name: of thousands each would be a finding of its own."""
        if isinstance(value, list):
            wrong = next((each for each in value if not isinstance(each, str)), None)
            if wrong is not None:
                raise ValueError(f"expected names of fields, found {type(wrong).__name__}")
        return value

    @field_validator("deadline", mode="before")
    @classmethod
    def _in_seconds(cls, value: Any) -> Any:
        """Also accept times as Elasticsearch writes them: 500ms, 2s."""
        for unit, seconds in (("ms", 0.001), ("s", 1)):
            if isinstance(value, str) and value.endswith(unit):
                return float(value.removesuffix(unit)) * seconds
        return value

    @field_validator("fusion", mode="before")
    @classmethod
    def _by_name(cls, value: Any) -> Any:
        return {"method": value} if isinstance(value, str) else value

    def over(self, other: NeuralRescore) -> NeuralRescore:
        """Return this object's values, with the other's for those that are not set."""
        said = {name: getattr(self, name) for name in type(self).model_fields}
        return other.model_copy(update={k: v for k, v in said.items() if v is not None})


_DEFAULT = NeuralRescore(enabled=True, window_size=100, deadline=2.0)


class ProxySettings(BaseModel):
    """The ``_search`` proxy in front of an Elasticsearch or OpenSearch.

    Attributes:
        url: the server's address; none for no proxy.
        credentials: whose are sent to the server: the ``caller``'s, or the sidecar's ``own``, with
            which everybody with access to the sidecar sees what its user may see.
        username: the sidecar's own, with ``password``.
        password: the user's.
        api_key: the sidecar's own, instead of user and password.
        ca_certs: file of CA certificates to verify the server with.
        rerank: how searches are reranked, unless the request or its index overrides it.
        indices: overrides by index name or pattern (``articles-*``); the first match is used.
        allow: other parts of the API to pass through: ``_count``, ``GET _doc``, ``_search/scroll``;
            ``GET /`` is the root, ``*`` is everything.
        annotate: report in the body, as ``_twopass``, how reranking went; headers always do.
        stable_pages: send the pages of a search to the same copies of its shards, whose order of
            equal scores may differ, unless the caller names a preference.
        max_body_bytes: a larger body is passed on unread.
        max_answer_bytes: if Elasticsearch's answer with the whole window is larger, it is not
            reranked, and the search is sent unchanged.
        timeout: time limit of the server's answers, to their last byte, in seconds; the time that
            the caller takes to send and to read does not count.
        connections: maximum connections to the server.

    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str | None = None
    credentials: Literal["caller", "own"] = "caller"
    username: str | None = None
    password: SecretStr | None = None
    api_key: SecretStr | None = None
    ca_certs: Path | None = None
    rerank: NeuralRescore = _DEFAULT
    indices: Mapping[str, NeuralRescore] = {}
    allow: tuple[str, ...] = ()
    annotate: bool = True
    stable_pages: bool = True
    max_body_bytes: Count = 1024 * 1024
    max_answer_bytes: Count = 64 * 1024 * 1024
    timeout: Seconds = 60.0
    connections: Count = 100

    def default(self, index: str) -> NeuralRescore:
        """Return how searches of an index are reranked by default."""
        everywhere = self.rerank.over(_DEFAULT)
        for pattern, rescore in self.indices.items():
            if fnmatchcase(index, pattern):
                return rescore.over(everywhere)
        return everywhere

    @field_validator("url")
    @classmethod
    def _check_url(cls, url: str | None) -> str | None:
        if url is not None and not url.startswith(("http://", "https://")):
            raise ValueError("expected an address as http://localhost:9200")
        if url is not None and urlsplit(url).username is not None:
            raise ValueError("expected no user in the address: set username and password")
        return url.rstrip("/") if url else None

    @model_validator(mode="after")
    def _check_credentials(self) -> Self:
        basic = self.username is not None and self.password is not None
        if self.credentials == "own" and not basic and self.api_key is None:
            raise ValueError("expected username and password, or api_key, with credentials 'own'")
        return self
