"""How ``twopass serve`` listens, whom it serves and how much it takes on."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

__all__ = ["ServeSettings"]

Count = Annotated[int, Field(ge=1)]
Seconds = Annotated[float, Field(gt=0)]

_HASHED = re.compile(r"sha256:[0-9a-f]{32}:[0-9a-f]{64}")


class ServeSettings(BaseModel):
    """The HTTP service.

    Attributes:
        host: the address to listen on; 0.0.0.0 for all of the machine's.
        port: the port to listen on; 0 takes a free one.
        workers: processes, each with a model and a queue of its own.
        api_keys: who may ask, as ``twopass serve --hash-key`` prints them; none lets everybody.
        name: what the model is called in answers; by default ``reranker.model``.
        models: further models by name that a request may ask for; each is loaded at the start and
            runs as ``reranker`` says of device, engine, passages and cache.
        scores: what the scorer's numbers are: ``logits``, of which clients get the sigmoid as
            relevance; or ``probabilities``, which they get as they are. ``auto`` asks the scorer.
        max_body_bytes: a request's body at most.
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
    api_keys: tuple[str, ...] = ()
    name: str | None = None
    models: Mapping[str, str] = {}
    scores: Literal["auto", "logits", "probabilities"] = "auto"
    max_body_bytes: Count = 16 * 1024 * 1024
    max_documents: Count = 1_000
    max_characters: Count = 1_000_000
    max_queue: Count = 8_192
    deadline: Seconds = 30.0
    drain: Seconds = 30.0
    judged: Path | None = None
    judged_split: str = "test"
    logs: Literal["auto", "json", "text"] = "auto"
    forwarded_allow_ips: str = "127.0.0.1"

    @field_validator("api_keys", mode="before")
    @classmethod
    def _decode(cls, keys: Any) -> Any:
        """Read the list from what the environment and ``--set`` can say: one key, or JSON."""
        if not isinstance(keys, str):
            return keys
        return json.loads(keys) if keys.lstrip().startswith("[") else [keys]

    @field_validator("api_keys")
    @classmethod
    def _check_keys(cls, keys: tuple[str, ...]) -> tuple[str, ...]:
        for place, key in enumerate(keys):
            if not _HASHED.fullmatch(key):  # the message must not show what may be a key
                raise ValueError(
                    f"expected key {place} as 'twopass serve --hash-key' prints it: sha256:..."
                )
        return keys
