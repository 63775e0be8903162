"""Settings -> the first stage: an index, or a connection to a server."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast

from twopass.pipeline.errors import SettingsError
from twopass.plugins import load_plugin, plugin_names

if TYPE_CHECKING:
    from twopass.pipeline.apps.settings import RetrieverSettings, Settings
    from twopass.retriever import Retriever
    from twopass.retriever.corpus.documents import Document
    from twopass.retriever.elastic.connection import Connection, Engine
    from twopass.retriever.index.index import BM25Index

__all__ = [
    "RetrieverKind",
    "build_connection",
    "build_index",
    "build_retriever",
    "find_kind",
    "retriever_kind",
    "stored_folder",
]


@dataclass(frozen=True, slots=True)
class RetrieverKind:
    """A kind of first stage.

    Attributes:
        build: makes the retriever from its settings.
        in_folder: whether ``retriever.index`` is a folder here, which may keep more beside it.

    """

    build: Callable[[RetrieverSettings], Retriever]
    in_folder: bool = False


B = TypeVar("B", bound="Callable[[RetrieverSettings], Retriever]")

_KINDS: dict[str, RetrieverKind] = {}
_GROUP = "twopass.retrievers"


def retriever_kind(*names: str, in_folder: bool = False) -> Callable[[B], B]:
    """Register a function as the builder of the retrievers of these kinds; a decorator."""

    def register(build: B) -> B:
        _KINDS.update(dict.fromkeys(names, RetrieverKind(build, in_folder)))
        return build

    return register


def find_kind(name: str) -> RetrieverKind:
    """Return the kind of that name: registered by ``retriever_kind``, or an entry point's.

    Raises:
        SettingsError: when there is none.

    """
    if name not in _KINDS:
        build = load_plugin(_GROUP, name)
        if build is None:
            known = ", ".join(plugin_names(_GROUP, _KINDS))
            raise SettingsError(f"retriever.kind: expected one of {known}, found {name!r}")
        _KINDS.setdefault(name, RetrieverKind(build))
    return _KINDS[name]


def build_retriever(settings: Settings) -> Retriever:
    """Open the first stage.

    Raises:
        SettingsError: when its kind is unknown, or it needs an index or a server and none is set.
        RetrieverError: when it cannot be opened.

    """
    return find_kind(settings.retriever.kind).build(settings.retriever)


def _index(retriever: RetrieverSettings) -> str:
    if retriever.index is None:
        raise SettingsError(
            "retriever.index: expected the folder of an index, found none; name it with --index, "
            "TWOPASS_RETRIEVER__INDEX or in twopass.toml, or build one with 'twopass index'"
        )
    return retriever.index


@retriever_kind("bm25", in_folder=True)
def _bm25(retriever: RetrieverSettings) -> Retriever:
    from twopass.retriever.index.index import BM25Index

    return BM25Index.open(_index(retriever), scoring=retriever.scoring)


@retriever_kind("rank-bm25", in_folder=True)
def _rank_bm25(retriever: RetrieverSettings) -> Retriever:
    from twopass.retriever.index.index import BM25Index
    from twopass.retriever.rank_bm25 import RankBM25Retriever

    stored = BM25Index.open(_index(retriever))
    return RankBM25Retriever(
        stored.documents(),
        variant=cast("Any", retriever.formula or "okapi"),  # it checks the name
        analyzer=stored.analyzer.terms,
        **retriever.parameters,
    )


@retriever_kind("elasticsearch", "opensearch")
def _elastic(retriever: RetrieverSettings) -> Retriever:
    from twopass.retriever.elastic import ElasticsearchRetriever

    engine: Engine = "opensearch" if retriever.kind == "opensearch" else "elasticsearch"
    index = _index(retriever)
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


def stored_folder(
    retriever: RetrieverSettings, kind: Literal["tokens", "embeddings"]
) -> Path | None:
    """Return where an index in a folder keeps token ids or embeddings of its documents."""
    if retriever.index is None or not find_kind(retriever.kind).in_folder:
        return None
    return Path(retriever.index) / kind


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
