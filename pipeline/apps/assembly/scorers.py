"""Settings -> the second stage: a model or a service, with cache, passages and calibration."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from twopass.pipeline.apps.assembly.models import (
    build_encoder,
    build_plugin,
    calibration_file,
    is_plugin,
    reads_pairs,
    weights_fingerprint,
)
from twopass.pipeline.apps.assembly.retrievers import stored_folder
from twopass.pipeline.errors import SettingsError

if TYPE_CHECKING:
    from twopass.pipeline.apps.settings import RerankerSettings, Settings
    from twopass.pipeline.apps.settings.second_stage import RemoteSettings
    from twopass.reranker import CrossEncoder, PairScorer
    from twopass.reranker.text.encoding import PairEncoder

__all__ = ["build_cheap_scorer", "build_final_scorer", "build_model", "build_scorer"]

_CACHE_MEGABYTES = 64.0  # of memory, if only a folder is set


def build_scorer(settings: Settings, *, shared: bool = False) -> PairScorer:
    """Load the second stage: the model, a service or a chain of both, and the cascade before it.

    Args:
        settings: all settings.
        shared: whether many callers use it at once, whose pairs share batches.

    Raises:
        SettingsError: when settings contradict each other.
        RerankerError: when the model cannot be loaded; in a chain it is loaded when needed.

    """
    from twopass.reranker.scorers.cascade import Cascade

    cheap = build_cheap_scorer(settings, shared=shared)
    final = build_final_scorer(settings, shared=shared)
    return final if cheap is None else Cascade(cheap, final, keep=settings.reranker.cascade.keep)


def build_cheap_scorer(settings: Settings, *, shared: bool = False) -> PairScorer | None:
    """Load the first scorer of the cascade; None without a cascade.

    Raises:
        RerankerError: when the model cannot be loaded.

    """
    name = settings.reranker.cheap_model
    if name is None:
        return None
    if not reads_pairs(name):
        return build_encoder(settings)
    return _cross_encoder(settings, name, shared)


def build_final_scorer(settings: Settings, *, shared: bool = False) -> PairScorer:
    """Load the second stage without the cascade; see :func:`build_scorer`."""
    chain = settings.reranker.chain
    if settings.min_score is not None and "remote" in chain:
        raise SettingsError(
            "min_score: expected probabilities by the model's calibration, found a service among "
            f"the scorers ({', '.join(chain)}), which is not calibrated"
        )
    links = {name: _link(name, settings, shared) for name in chain}
    first, *others = links.values()
    if not others and first is not None:
        return first()
    from twopass.reranker.scorers.fallback import FallbackScorer

    return FallbackScorer(links)


def build_model(settings: Settings, source: str) -> PairScorer:
    """Load another model, with the settings' device, engine, cache and passages.

    Calibration, cascade, service and fallbacks belong to the settings' own model only.

    Raises:
        RerankerError: when it cannot be loaded.

    """
    own = ("model", "calibration", "cascade", "remote", "fallback")
    given = {name: value for name, value in iter(settings.reranker) if name not in own}
    reranker = type(settings.reranker)(model=source, **given)
    return _local(settings.model_copy(update={"reranker": reranker}), shared=False)


def _link(name: str, settings: Settings, shared: bool) -> Callable[[], PairScorer] | None:
    """Return a function that loads one scorer of the chain; None for ``none``."""
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
    from twopass.reranker.scorers.remote.scorer import RemoteScorer

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
    """Load the model, with everything between it and the caller."""
    reranker = settings.reranker
    return _calibrated(_cross_encoder(settings, reranker.model, shared), reranker)


def _cross_encoder(settings: Settings, name: str, shared: bool) -> PairScorer:
    """Load a cross-encoder with the settings' batching, cache and passages."""
    from twopass.reranker.scorers.cross_encoder import CrossEncoder

    reranker = settings.reranker
    if is_plugin(name):
        return _cached(build_plugin(reranker, name), reranker)
    model = CrossEncoder(
        name,
        device=reranker.device,
        max_length=reranker.max_length,
        precision=reranker.precision,
        engine=reranker.engine,
        cuda_graphs=reranker.cuda_graphs,
        token_budget=reranker.token_budget,
        stored_tokens=stored_folder(settings.retriever, "tokens"),
    )
    scorer = _cached(_batched(model) if shared else model, reranker)
    return _by_passages(scorer, model.encoder, reranker)


def _batched(model: CrossEncoder) -> PairScorer:
    from twopass.reranker.scorers.batching import BatchingScorer

    return BatchingScorer(model)


def _cached(scorer: PairScorer, reranker: RerankerSettings) -> PairScorer:
    cache = reranker.cache
    if cache.megabytes is None and cache.folder is None:
        return scorer
    from twopass.reranker.scorers.cache import CachingScorer

    return CachingScorer(
        scorer,
        megabytes=cache.megabytes or _CACHE_MEGABYTES,
        folder=cache.folder,
        folder_megabytes=cache.folder_megabytes,
    )


def _by_passages(
    scorer: PairScorer, encoder: PairEncoder, reranker: RerankerSettings
) -> PairScorer:
    from twopass.reranker.scorers.passages import PassageScorer

    reading = reranker.passages.reading
    return scorer if reading is None else PassageScorer(scorer, encoder, reading)


def _calibrated(scorer: PairScorer, reranker: RerankerSettings) -> PairScorer:
    if reranker.calibration is None:
        return scorer
    from twopass.reranker.scorers.calibration import CalibratedScorer, Calibration

    calibration = Calibration.load(calibration_file(reranker))
    if calibration.scorer not in ("", reranker.model):
        raise SettingsError(
            f"reranker.calibration: expected one of {reranker.model!r}, found that of "
            f"{calibration.scorer!r}: run 'twopass calibrate' with this model"
        )
    if calibration.fingerprint and calibration.fingerprint != weights_fingerprint(reranker):
        raise SettingsError(
            f"reranker.calibration: expected one for the current weights of {reranker.model!r}, "
            "found one of other weights: run 'twopass calibrate' again"
        )
    return CalibratedScorer(scorer, calibration, by=reranker.model)
