"""An index of our documents on a server.

Fields, analyser and similarity; creating and recognising it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from twopass.retriever.analysis import Analyzer
from twopass.retriever.analysis.languages import FRENCH_ARTICLES, ITALIAN_ARTICLES, stop_words
from twopass.retriever.corpus.documents import Document
from twopass.retriever.elastic.connection import Connection, part
from twopass.retriever.errors import (
    AnalysisError,
    BackendError,
    IndexExistsError,
    RefusedError,
    RemoteIndexMissingError,
)
from twopass.retriever.scoring import Lucene

__all__ = [
    "create_index",
    "digest_of",
    "index_body",
    "indices_with_same_body",
    "server_analyzer",
    "source_of",
]


# These mean the same there.
_SAME = (
    *("standard", "whitespace", "simple", "keyword", "english", "cjk"),
    *("danish", "dutch", "finnish", "hungarian", "norwegian", "romanian", "russian", "swedish"),
    "turkish",
)
# These do, spelt out: Elasticsearch's own analysers of these names stem more lightly.
_SPELT_OUT = ("french", "german", "italian", "portuguese", "spanish")
_ARTICLES = {"french": FRENCH_ARTICLES, "italian": ITALIAN_ARTICLES}


def server_analyzer(analyzer: Analyzer) -> dict[str, Any]:
    """Return the ``analysis`` settings whose default analyser gives the same terms.

    Raises:
        AnalysisError: when the server has no such analyser.

    """
    if analyzer.name in _SAME:
        return {"analyzer": {"default": {"type": analyzer.name}}}
    if analyzer.name in _SPELT_OUT:
        return _spelt_out(analyzer.name)
    raise AnalysisError(
        f"no analyser of the server gives the terms of {analyzer.name!r}; "
        "pass the settings of one that comes close as 'analysis'"
    )


def _spelt_out(language: str) -> dict[str, Any]:
    filters: dict[str, Any] = {
        "words": {"type": "stop", "stopwords": sorted(stop_words(language))},
        "stems": {"type": "snowball", "language": language.capitalize()},
    }
    order = ["lowercase", "words", "stems"]
    if language in _ARTICLES:
        articles = list(_ARTICLES[language])
        filters["articles"] = {"type": "elision", "articles": articles, "articles_case": True}
        order.insert(0, "articles")
    chain = {"type": "custom", "tokenizer": "standard", "filter": order}
    return {"analyzer": {"default": chain}, "filter": filters}


def index_body(
    analysis: Mapping[str, Any], scoring: Lucene, *, shards: int, replicas: int
) -> dict[str, Any]:
    """Return the body that creates an index.

    Title and text are searched together in ``contents``, which is made of them; strings in the
    metadata are kept whole and numbers as doubles, for filters.
    """
    text = {"type": "text", "copy_to": "contents"}
    # The first value decides a field's kind, on each shard by itself: so all numbers are of one.
    number = {"type": "double"}
    whole = {"type": "keyword", "ignore_above": 8191}
    kinds = {"string": whole, "long": number, "double": number}
    return {
        "settings": {
            "number_of_shards": shards,
            "number_of_replicas": replicas,
            "analysis": dict(analysis),
            "similarity": {"default": {"type": "BM25", "k1": scoring.k1, "b": scoring.b}},
        },
        "mappings": {
            "dynamic": False,
            "date_detection": False,
            "dynamic_templates": [
                {kind: {"match_mapping_type": kind, "mapping": mapping}}
                for kind, mapping in kinds.items()
            ],
            "properties": {
                "id": {"type": "keyword"},
                "title": text,
                "text": text,
                "contents": {"type": "text"},
                "metadata": {"type": "object", "dynamic": True},
            },
        },
    }


def source_of(document: Document) -> dict[str, Any]:
    """Return what is stored of a document; its id is there as a field too, to sort by."""
    return {
        "id": document.id,
        "title": document.title,
        "text": document.text,
        "metadata": dict(document.metadata),
    }


_NAME = "twopass"  # in the mapping's notes


def create_index(
    connection: Connection, name: str, body: Mapping[str, Any], *, resume: bool = False
) -> bool:
    """Create an index; return whether it is new.

    The mapping notes by what it was made, so that a request whose answer was lost is known to have
    been carried out, and an interrupted load is taken up only in an index of the same making.

    Args:
        connection: the server.
        name: of the index.
        body: its settings and mappings, of ``index_body``.
        resume: use an index of that name if it was made by the same body.

    Raises:
        IndexExistsError: when there is an index of that name, or with ``resume`` another one.
        BackendError: when the server cannot be reached or refuses.

    """
    note = {"digest": digest_of(body), "made": uuid4().hex}
    mappings = {**body["mappings"], "_meta": {_NAME: note}}
    try:
        connection.request("PUT", f"/{part(name)}", {**body, "mappings": mappings})
    except RefusedError as error:
        if "already exists" not in str(error):
            raise
        there = _note(connection, name)
        if there == note:  # by the first try of this very request
            return True
        if resume and there.get("digest") == note["digest"]:
            return False
        raise IndexExistsError(_exists(name, resume)) from error
    return True


def indices_with_same_body(
    connection: Connection, pattern: str, body: Mapping[str, Any]
) -> list[str]:
    """Return the names of the indices that were made by the same body, in order."""
    try:
        found = connection.request("GET", f"/{part(pattern)}/_mapping")
    except RemoteIndexMissingError:
        return []
    wanted = digest_of(body)
    return sorted(name for name, each in found.items() if _read(each).get("digest") == wanted)


def digest_of(body: Mapping[str, Any]) -> str:
    """Return what tells one making of an index from another."""
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()[:16]


def _note(connection: Connection, name: str) -> dict[str, str]:
    try:
        found = connection.request("GET", f"/{part(name)}/_mapping")
    except BackendError:
        return {}
    return _read(found[name]) if name in found else {}  # else it is an alias


def _read(found: Mapping[str, Any]) -> dict[str, str]:
    note: dict[str, str] = found["mappings"].get("_meta", {}).get(_NAME, {})
    return note


def _exists(name: str, resume: bool) -> str:
    if resume:
        return (
            f"the server has an index {name!r} that was made otherwise (analyser, BM25, shards); "
            "delete it there or choose another name"
        )
    return (
        f"the server has an index {name!r}; delete it there, choose another name, or resume where "
        "loading it was interrupted"
    )
