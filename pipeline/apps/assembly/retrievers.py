"""Settings -> the first stage: an index, or a connection to a server."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from twopass.pipeline.errors import SettingsError

if TYPE_CHECKING:
    from twopass.pipeline.apps.settings import RetrieverSettings, Settings
    from twopass.retriever import Retriever
    from twopass.retriever.corpus.documents import Document
    from twopass.retriever.elastic.connection import Connection, Engine
    from twopass.retriever.index.index import BM25Index

__all__ = ["build_connection", "build_index", "build_retriever"]


def build_retriever(settings: Settings) -> Retriever:
    """Open the first stage.

    Raises:
        SettingsError: when no index is set, or no server for an index on a server.
        RetrieverError: when it cannot be opened.

    """
    retriever = settings.retriever
    if retriever.index is None:
        raise SettingsError(
            "retriever.index: expected the folder of an index, found none; name it with --index, "
            "TWOPASS_RETRIEVER__INDEX or in twopass.toml, or build one with 'twopass index'"
        )
    match retriever.kind:
        case "bm25":
            return _bm25(retriever, retriever.index)
        case "rank-bm25":
            return _rank_bm25(retriever, retriever.index)
        case engine:
            return _elastic(retriever, retriever.index, engine)


def _bm25(retriever: RetrieverSettings, index: str) -> Retriever:
    from twopass.retriever.index.index import BM25Index

    return BM25Index.open(index, scoring=retriever.scoring)


def _rank_bm25(retriever: RetrieverSettings, index: str) -> Retriever:
    from twopass.retriever.index.index import BM25Index
    from twopass.retriever.rank_bm25 import RankBM25Retriever

    stored = BM25Index.open(index)
    return RankBM25Retriever(
        stored.documents(),
        variant=cast("Any", retriever.formula or "okapi"),  # it checks the name
        analyzer=stored.analyzer.terms,
        **retriever.parameters,
    )


def _elastic(retriever: RetrieverSettings, index: str, engine: Engine) -> Retriever:
    from twopass.retriever.elastic import ElasticsearchRetriever

    return ElasticsearchRetriever(
        _urls(retriever),
        index,
        engine=engine,
        fields=retriever.index_fields,
        template=retriever.template,
        routing=retriever.routing,
        global_statistics=retriever.global_statistics,
        **_client_options(retriever, engine),
    )


def build_connection(settings: Settings, engine: Engine) -> Connection:
    """Connect to the settings' server; nothing is sent yet.

    Raises:
        SettingsError: when no server is set.
        RetrieverError: when its client is not installed or does not support an option.

    """
    from twopass.retriever.elastic import connect

    retriever = settings.retriever
    return connect(_urls(retriever), engine=engine, **_client_options(retriever, engine))


def _urls(retriever: RetrieverSettings) -> tuple[str, ...]:
    if not retriever.urls:
        raise SettingsError(
            "retriever.url: expected a server's address, as http://localhost:9200, found none"
        )
    return retriever.urls


def _client_options(retriever: RetrieverSettings, engine: Engine) -> dict[str, Any]:
    """Return the settings as options of the official clients."""
    options: dict[str, Any] = {"timeout": retriever.timeout, "retries": retriever.retries}
    if retriever.api_key is not None:
        options["api_key"] = retriever.api_key.get_secret_value()
    if retriever.username is not None and retriever.password is not None:
        name = "basic_auth" if engine == "elasticsearch" else "http_auth"
        options[name] = (retriever.username, retriever.password.get_secret_value())
    if retriever.ca_certs is not None:
        options["ca_certs"] = str(retriever.ca_certs)
    return options


def build_index(
    settings: Settings,
    documents: Iterable[Document],
    path: Path | None,
    *,
    overwrite: bool = False,
    progress: Callable[[int], None] | None = None,
) -> BM25Index:
    """Build an index with the settings' analyser and formula; in memory if the path is None.

    Raises:
        RetrieverError: when a document cannot be read or the index cannot be written.

    """
    from twopass.retriever.index.fields import FieldWeights
    from twopass.retriever.index.index import BM25Index
    from twopass.retriever.scoring import Lucene

    retriever = settings.retriever
    return BM25Index.build(
        documents,
        path,
        analyzer=retriever.analyzer,
        scoring=retriever.scoring or Lucene(),
        weights=FieldWeights(retriever.title_weight, retriever.text_weight),
        threads=retriever.threads,
        overwrite=overwrite,
        progress=progress,
    )
