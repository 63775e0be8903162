"""Settings -> objects: the one place where classes are chosen by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from pipeline.errors import SettingsError

if TYPE_CHECKING:
    from pipeline.fusion import Fusion
    from pipeline.search import SearchPipeline
    from pipeline.settings import RerankerSettings, RetrieverSettings, Settings
    from pipeline.settings.services import RemoteSettings
    from reranker import BiEncoderScorer, CrossEncoder, PairScorer
    from reranker.encoding import PairEncoder
    from retriever import Retriever
    from retriever.bm25.index import BM25Index
    from retriever.documents import Document
    from retriever.elastic.connection import Connection, Engine

__all__ = [
    "assemble",
    "build_connection",
    "build_encoder",
    "build_fusion",
    "build_index",
    "build_pipeline",
    "build_retriever",
    "build_scorer",
    "build_teacher",
    "calibration_file",
    "model_source",
    "stored_folder",
]

_CACHE_MEGABYTES = 64.0  # of memory, where only a folder is named


def build_retriever(settings: Settings) -> Retriever:
    """Open the first stage.

    Raises:
        SettingsError: when no index is named, or no server for one that is on a server.
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
    from retriever.bm25.index import BM25Index

    return BM25Index.open(index, scoring=retriever.scoring)


def _rank_bm25(retriever: RetrieverSettings, index: str) -> Retriever:
    from retriever.bm25.index import BM25Index
    from retriever.rank_bm25 import RankBM25Retriever

    stored = BM25Index.open(index)
    return RankBM25Retriever(
        stored.documents(),
        variant=cast("Any", retriever.formula or "okapi"),  # it checks the name
        analyzer=stored.analyzer.terms,
        **retriever.parameters,
    )


def _elastic(retriever: RetrieverSettings, index: str, engine: Engine) -> Retriever:
    from retriever.elastic import ElasticsearchRetriever

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
    """Connect to the server that the settings name; nothing is sent yet.

    Raises:
        SettingsError: when no server is named.
        RetrieverError: when its client is not installed or does not take an option.

    """
    from retriever.elastic import connect

    retriever = settings.retriever
    return connect(_urls(retriever), engine=engine, **_client_options(retriever, engine))


def _urls(retriever: RetrieverSettings) -> tuple[str, ...]:
    if not retriever.urls:
        raise SettingsError(
            "retriever.url: expected a server's address, as http://localhost:9200, found none"
        )
    return retriever.urls


def _client_options(retriever: RetrieverSettings, engine: Engine) -> dict[str, Any]:
    """Name what the settings say as the official clients do."""
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
    """Build an in-process index with the analyser and formula of the settings; in memory for None.

    Raises:
        RetrieverError: when a document cannot be read or the index cannot be written.

    """
    from retriever.bm25.fields import FieldWeights
    from retriever.bm25.index import BM25Index
    from retriever.scoring import Lucene

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


def build_scorer(settings: Settings, *, shared: bool = False) -> PairScorer:
    """Load the second stage: the model, a service, or a chain of them.

    Args:
        settings: all of the pipeline's.
        shared: whether many callers use it at once, whose pairs are to fill batches together.

    Raises:
        SettingsError: when settings contradict each other.
        RerankerError: when the model cannot be had; in a chain it is loaded when it is needed.

    """
    chain = settings.reranker.chain
    if settings.min_score is not None and "remote" in chain:
        raise SettingsError(
            "min_score: expected probabilities by the model's calibration, found a service among "
            f"those who score ({', '.join(chain)}), whose scores mean something else"
        )
    links = {name: _link(name, settings, shared) for name in chain}
    first, *others = links.values()
    if not others and first is not None:
        return first()
    from reranker.fallback import FallbackScorer

    return FallbackScorer(links)


def _link(name: str, settings: Settings, shared: bool) -> Callable[[], PairScorer] | None:
    """Return what makes one scorer of the chain."""
    match name:
        case "none":
            return None
        case "remote":
            return lambda: _remote(settings.reranker.remote)
        case "cpu" | "cpu-int8":
            chosen = {"device": "cpu", "precision": "int8" if name == "cpu-int8" else "fp32"}
            on_cpu = settings.reranker.model_copy(update=chosen)
            return lambda: _local(settings.model_copy(update={"reranker": on_cpu}), shared)
        case _:
            return lambda: _local(settings, shared)


def _remote(remote: RemoteSettings) -> PairScorer:
    from reranker.remote.scorer import RemoteScorer

    if remote.url is None:
        raise SettingsError("reranker.remote.url: expected the address of a service, found none")
    return RemoteScorer(
        remote.url,
        dialect=remote.dialect,
        model=remote.model,
        api_key=None if remote.api_key is None else remote.api_key.get_secret_value(),
        max_texts=remote.max_texts,
        timeout=remote.timeout,
    )


def _local(settings: Settings, shared: bool) -> PairScorer:
    """Load the model, with all that is between it and the caller."""
    from reranker.cross_encoder import CrossEncoder

    reranker = settings.reranker
    model = CrossEncoder(
        reranker.model,
        device=reranker.device,
        max_length=reranker.max_length,
        precision=reranker.precision,
        engine=reranker.engine,
        token_budget=reranker.token_budget,
        stored_tokens=stored_folder(settings.retriever, "tokens"),
    )
    scorer = _cached(_batched(model) if shared else model, reranker)
    read = _by_passages(scorer, model.encoder, reranker)
    return _calibrated(_in_cascade(read, settings), reranker)


def _batched(model: CrossEncoder) -> PairScorer:
    from reranker.batching import BatchingScorer

    return BatchingScorer(model)


def _cached(scorer: PairScorer, reranker: RerankerSettings) -> PairScorer:
    cache = reranker.cache
    if cache.megabytes is None and cache.folder is None:
        return scorer
    from reranker.cache import CachingScorer

    return CachingScorer(
        scorer,
        megabytes=cache.megabytes or _CACHE_MEGABYTES,
        folder=cache.folder,
        folder_megabytes=cache.folder_megabytes,
    )


def _by_passages(
    scorer: PairScorer, encoder: PairEncoder, reranker: RerankerSettings
) -> PairScorer:
    from reranker.passages import PassageScorer

    reading = reranker.passages.reading
    return scorer if reading is None else PassageScorer(scorer, encoder, reading)


def _in_cascade(scorer: PairScorer, settings: Settings) -> PairScorer:
    from reranker.cascade import Cascade

    cascade = settings.reranker.cascade
    return (
        scorer
        if cascade.model is None
        else Cascade(build_encoder(settings), scorer, keep=cascade.keep)
    )


def build_encoder(settings: Settings) -> BiEncoderScorer:
    """Load the cascade's encoder.

    Raises:
        SettingsError: when none is named.
        RerankerError: when it cannot be had.

    """
    from reranker.bi_encoder import BiEncoderScorer

    cascade = settings.reranker.cascade
    if cascade.model is None:
        raise SettingsError("reranker.cascade.model: expected an encoder, found none")
    return BiEncoderScorer(
        cascade.model,
        device=settings.reranker.device,
        pooling=cascade.pooling,
        query_prefix=cascade.query_prefix,
        passage_prefix=cascade.passage_prefix,
        stored=stored_folder(settings.retriever, "embeddings"),
    )


def stored_folder(
    retriever: RetrieverSettings, kind: Literal["tokens", "embeddings"]
) -> Path | None:
    """Return where an index in a folder keeps what was computed of its documents' texts."""
    if retriever.index is None or retriever.kind not in ("bm25", "rank-bm25"):
        return None
    return Path(retriever.index) / kind


def _calibrated(scorer: PairScorer, reranker: RerankerSettings) -> PairScorer:
    if reranker.calibration is None:
        return scorer
    from reranker.calibration import CalibratedScorer, Calibration

    calibration = Calibration.load(calibration_file(reranker))
    if calibration.scorer not in ("", reranker.model):
        raise SettingsError(
            f"reranker.calibration: expected one of {reranker.model!r}, found that of "
            f"{calibration.scorer!r}: run 'twopass calibrate' with this model"
        )
    return CalibratedScorer(scorer, calibration, by=reranker.model)


def calibration_file(reranker: RerankerSettings) -> Path:
    """Return the file of the calibration that the settings name.

    Raises:
        RerankerError: when it stands beside a model that cannot be had.

    """
    from reranker.calibration import calibration_path
    from reranker.sources import locate

    name = reranker.calibration or "default"
    if name.endswith(".json"):
        return Path(name)
    return calibration_path(name, locate(reranker.model))


def build_teacher(settings: Settings, name: str) -> PairScorer:
    """Load a teacher: a cross-encoder, whose logits it gives, or an encoder.

    Raises:
        RerankerError: when the model cannot be had.

    """
    from reranker.folder import ModelFolder
    from reranker.sources import locate

    train, source = settings.train, model_source(settings, name)
    kinds = ModelFolder.read(locate(source)).config.get("architectures") or [""]
    if str(kinds[0]).endswith("ForSequenceClassification"):
        from reranker.cross_encoder import CrossEncoder

        return CrossEncoder(source, device=train.device, activation_fn=lambda logits: logits)
    from reranker.bi_encoder import BiEncoderScorer

    return BiEncoderScorer(source, device=train.device)


def model_source(settings: Settings, name: str) -> str:
    """Return where a model named in the training settings is: a local copy's folder, or its name.

    A copy is a folder of ``train.models`` with the last part of the name.
    """
    if settings.train.models is not None:
        local = settings.train.models / name.rpartition("/")[2]
        if local.is_dir():
            return str(local)
    return name


def build_fusion(settings: Settings) -> Fusion:
    """Choose how both stages' scores become one."""
    from pipeline.fusion import fusion

    return fusion(settings.fusion.method, **settings.fusion.parameters)


def build_pipeline(settings: Settings, *, rerank: bool = True) -> SearchPipeline:
    """Put both stages together; without reranking, the first alone.

    Raises:
        SettingsError: when no index is named.
        RetrieverError: when it cannot be opened.
        RerankerError: when the model cannot be had.

    """
    return assemble(build_retriever(settings), settings, rerank=rerank)


def assemble(retriever: Retriever, settings: Settings, *, rerank: bool = True) -> SearchPipeline:
    """Put a retriever that is there already and the second stage together.

    Raises:
        RerankerError: when the model cannot be had.

    """
    from pipeline.search import SearchPipeline

    rerank = rerank and settings.rerank
    return SearchPipeline(
        retriever,
        build_scorer(settings) if rerank else None,
        build_fusion(settings),
        depth=settings.depth,
        deadline=settings.deadline,
        min_score=settings.min_score if rerank else None,
    )
