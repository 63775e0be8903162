"""What an index of our documents looks like on a server: fields, analyser, similarity."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from retriever.analysis import Analyzer
from retriever.analysis.languages import FRENCH_ARTICLES, ITALIAN_ARTICLES, stop_words
from retriever.base import AnalysisError
from retriever.documents import Document
from retriever.scoring import Lucene

__all__ = ["index_body", "server_analyzer", "source_of"]

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
