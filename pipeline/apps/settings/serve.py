"""Settings of ``twopass serve``: how it listens, whom it serves, and the ``_search`` proxy."""

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
        port: the port to listen on; 0 takes a free one.
        workers: processes, each with a model and a queue of its own.
        hosts: names by which clients call the service, besides ``host``, localhost and addresses;
            requests for other names are refused, which keeps web pages of other sites out. Where
            it is empty, only a service on a loopback address checks names; ``*`` lets all through.
        api_keys: who may ask, as ``twopass serve --hash-key`` prints them; none lets everybody.
        name: what the model is called in answers; by default ``reranker.model``.
        models: further models by name that a request may ask for; each is loaded at the start and
            runs as ``reranker`` says of device, engine, passages and cache.
        scores: what the scorer's numbers are: ``logits``, of which clients get the sigmoid as
            relevance; or ``probabilities``, which they get as they are. ``auto`` asks the scorer.
        max_body_bytes: a request's body at most.
        max_bodies_bytes: bodies that are being received, at most, all of them together and a
            worker; beyond, a request is refused with 429.
        max_connections: connections at most, of a worker; never more than two thirds of the files
            that the process may open. Then the one that has been idle longest is closed.
        header_timeout: seconds that a request's headers may take to arrive.
        body_timeout: seconds that a request's body may take to arrive, and one more for each MiB;
            also, that a client may take to read a part of its answer.
        keep_alive: seconds that a connection is kept open for the next request; more than
            balancers keep it, or it may be closed under a request that is just being sent.
        max_documents: documents a request at most.
        max_characters: a text's characters at most; longer ones are refused, not cut.
        max_queue: (query, document) pairs that wait or are being scored by a model, at most; a
            request beyond is refused with 429 and ``Retry-After``, but never the first one.
        deadline: seconds that a request may take, unless it asks for fewer; what the second
            stage has not scored by then is answered without it.
        drain: seconds that accepted requests are given to finish when the process is to end.
        judged: a folder in BEIR's layout whose judged queries the page offers, to show nDCG before
            and after.
        judged_split: which of its judgements.
        logs: ``json`` for one object a line, ``text`` for people; ``auto`` is text on a terminal.
        forwarded_allow_ips: the proxies whose X-Forwarded headers are believed.

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
    """What a search is to be reranked by: the object ``rescore.neural`` of a body.

    The same object stands in the header ``x-twopass-rescore``, in ``proxy.rerank`` and in
    ``proxy.indices``; what one leaves out, the next says.

    Attributes:
        enabled: whether to rerank at all.
        query: the text to rerank by; by default the words of the body's query.
        fields: what is read of each document; by default the fields that the query searches.
        window_size: how many of Elasticsearch's best are reranked.
        model: one of ``serve.models``, or the default's name; by default the default.
        fusion: a method's name, or an object with ``method`` and its parameters.
        deadline: seconds that reranking may take, or ``500ms``; what is not scored by then goes
            without.
        min_score: leave out documents whose score by the second stage is below.
        details: give each hit the scores of both stages, as ``fields._twopass``.

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
        """Take Elasticsearch's way of writing a time, too: 500ms, 2s."""
        for unit, seconds in (("ms", 0.001), ("s", 1)):
            if isinstance(value, str) and value.endswith(unit):
                return float(value.removesuffix(unit)) * seconds
        return value

    @field_validator("fusion", mode="before")
    @classmethod
    def _by_name(cls, value: Any) -> Any:
        return {"method": value} if isinstance(value, str) else value

    def over(self, other: NeuralRescore) -> NeuralRescore:
        """Return what this one says, and where it says nothing, the other."""
        said = {name: getattr(self, name) for name in type(self).model_fields}
        return other.model_copy(update={k: v for k, v in said.items() if v is not None})


_DEFAULT = NeuralRescore(enabled=True, window_size=100, deadline=2.0)


class ProxySettings(BaseModel):
    """The ``_search`` proxy in front of an Elasticsearch or OpenSearch.

    Attributes:
        url: the server's address; none for no proxy.
        credentials: whose go to the server: the ``caller``'s own, or the sidecar's ``own``, with
            which everybody who may ask the sidecar sees what its user may see.
        username: the sidecar's own, with ``password``.
        password: the user's.
        api_key: the sidecar's own, in place of user and password.
        ca_certs: file of certificates by which the server is to be trusted.
        rerank: what every search is reranked by, unless it or its index says otherwise.
        indices: the same by the index's name or a pattern (``articles-*``); the first that fits.
        allow: further parts of the API: ``_count``, ``GET _doc``, ``_search/scroll``; ``GET /``
            is the root, ``*`` is all.
        annotate: say in the body, as ``_twopass``, how reranking went; headers say it always.
        stable_pages: send the pages of a search to the same copies of its shards, whose order of
            equal scores may differ, unless the caller names a preference.
        max_body_bytes: a larger body passes through unread.
        max_answer_bytes: a larger answer of Elasticsearch's with the whole window is not
            reranked; the search is then sent as it came.
        timeout: seconds that the server may take, from a request to the last byte of its answer;
            what the caller takes to send and to read does not count.
        connections: to the server, at most.

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
        """Return what searches of an index are reranked by, where they do not say."""
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
