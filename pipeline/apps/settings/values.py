"""The settings of the whole pipeline, as frozen, validated values."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from twopass.pipeline.apps.settings.first_stage import ServerSettings
from twopass.pipeline.apps.settings.second_stage import (
    CacheSettings,
    CascadeSettings,
    FusionSettings,
    PassagesSettings,
    RemoteSettings,
)
from twopass.pipeline.apps.settings.serve import ProxySettings, ServeSettings
from twopass.pipeline.apps.settings.train import TrainSettings
from twopass.retriever.errors import RetrieverError
from twopass.retriever.scoring import Lucene, Scoring, formula

__all__ = [
    "FusionSettings",
    "ProxySettings",
    "RerankerSettings",
    "RetrieverSettings",
    "Settings",
    "TrainSettings",
]

Count = Annotated[int, Field(ge=1)]
Seconds = Annotated[float, Field(gt=0)]
Weight = Annotated[int, Field(ge=1, le=100)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class RetrieverSettings(ServerSettings):
    """The first stage.

    ``ServerSettings`` describes the settings of a search server.

    Attributes:
        kind: "bm25", the in-process index; "rank-bm25", the same documents scored by that
            library; a server, "elasticsearch" or "opensearch"; or the name of a plugin.
        index: the index's folder, or its name on the server.
        analyzer: how text becomes terms, when an index is built; an index keeps its own.
        formula: the BM25 formula: lucene, okapi, l or plus. By default an index is
            built with lucene and searched as it was built.
        k1: how slowly repeated terms saturate; None, here and below, is the formula's default.
        b: how much a document's length counts.
        lengths: "lucene-byte" rounds lengths as Lucene does; for the formula lucene only.
        scaled: multiply scores by k1 + 1, as Elasticsearch does; for the formula lucene only.
        title_weight: weight of a title, when an index is built.
        text_weight: weight of a text, when an index is built.
        threads: threads for text analysis, when an index is built.

    """

    kind: str = "bm25"
    index: str | None = None
    analyzer: str = "english"
    formula: str | None = None
    k1: float | None = None
    b: float | None = None
    lengths: Literal["exact", "lucene-byte"] | None = None
    scaled: bool | None = None
    title_weight: Weight = 1
    text_weight: Weight = 1
    threads: Count = 1

    @property
    def parameters(self) -> dict[str, Any]:
        """The formula's parameters that are set."""
        given = {"k1": self.k1, "b": self.b, "lengths": self.lengths, "scaled": self.scaled}
        return {name: value for name, value in given.items() if value is not None}

    @property
    def scoring(self) -> Scoring | None:
        """The formula with its parameters; None if neither is set."""
        if self.formula is None and not self.parameters:
            return None
        return formula(self.formula or Lucene.name, **self.parameters)

    @model_validator(mode="after")
    def _check_scoring(self) -> Self:
        try:
            _ = self.scoring
        except RetrieverError as error:
            raise ValueError(str(error)) from error
        return self


class RerankerSettings(_Section):
    """The second stage.

    Attributes:
        model: a shipped one (twopass/default), a folder, a name on the Hugging Face hub, or
            plugin:NAME, another distribution's scorer.
        device: cpu, cuda, ...; None chooses the best available. Several, separated by commas, share
            the work.
        max_length: maximum tokens per pair; None is the model's own limit.
        precision: fp32, bf16, fp16, int8 (on a CPU), or auto, which measures which is fastest.
        engine: onnx, packed or torch; auto is the fastest that supports the model.
        cuda_graphs: run small batches on a GPU as CUDA graphs.
        token_budget: maximum padded tokens per batch; None chooses by device.
        passages: how documents too long for the model are read.
        cascade: a cheaper scorer that chooses what the model reads.
        calibration: maps scores to probabilities: a name (saved beside the model) or a JSON file.
        remote: a service that scores over HTTP.
        cache: a cache of the model's scores.
        fallback: what to use, in order, when the model or the service fails: ``cpu`` (the model on
            the CPU, in fp32), ``cpu-int8``, ``remote`` or, as the last, ``none``: the first
            stage's order.

    """

    model: str = "twopass/default"
    device: str | None = None
    max_length: Count | None = None
    precision: Literal["auto", "fp32", "bf16", "fp16", "int8"] = "fp32"
    engine: Literal["auto", "onnx", "packed", "torch"] = "auto"
    cuda_graphs: bool = False
    token_budget: Count | None = None
    passages: PassagesSettings = PassagesSettings()
    cascade: CascadeSettings = CascadeSettings()
    calibration: str | None = None
    remote: RemoteSettings = RemoteSettings()
    cache: CacheSettings = CacheSettings()
    fallback: tuple[Literal["cpu", "cpu-int8", "remote", "none"], ...] = ()

    @property
    def cheap_model(self) -> str | None:
        """The cascade's cheap model; None if the second stage reads all candidates."""
        match self.cascade.model:
            case "auto":
                ships = self.chain[0] == "model" and self.model == "twopass/default"
                return "twopass/tiny" if ships else None
            case "none":
                return None
            case name:
                return name

    @property
    def opinions(self) -> int:
        """How many score columns a search fuses, including the first stage's."""
        return 2 if self.cheap_model is None else 3

    @property
    def chain(self) -> tuple[str, ...]:
        """The scorers in the order of use: ``model`` or ``remote``, and the fallbacks."""
        service_first = self.remote.url is not None and "remote" not in self.fallback
        return ("remote" if service_first else "model", *self.fallback)

    @field_validator("fallback", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        """Accept names separated by commas: cpu,none."""
        if not isinstance(value, str):
            return value
        return tuple(name for part in value.strip("[]").split(",") if (name := part.strip(" '\"")))

    @model_validator(mode="after")
    def _check_chain(self) -> Self:
        if len(set(self.fallback)) < len(self.fallback) or "none" in self.fallback[:-1]:
            raise ValueError(
                f"fallback: expected each once and none as the last, found {list(self.fallback)}"
            )
        if "remote" in self.fallback and self.remote.url is None:
            raise ValueError("fallback: expected a remote.url to fall back on, found none")
        return self


class Settings(BaseSettings):
    """All settings; reads only its arguments, no file or environment (see load_settings).

    Attributes:
        retriever: the first stage.
        rerank: whether there is a second stage.
        reranker: the second stage.
        fusion: how their scores are combined.
        proxy: the proxy in front of a search engine.
        serve: the HTTP service.
        train: how a model is trained.
        depth: how many candidates per query the second stage reads.
        k: results per query.
        deadline: time limit of a search, in seconds; candidates not scored in time stay below the
            others. None sets no limit.
        min_score: only results with at least this probability of relevance; needs a calibrated
            second stage.

    """

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        env_prefix="TWOPASS_",
        env_nested_delimiter="__",
    )

    retriever: RetrieverSettings = RetrieverSettings()
    rerank: bool = True
    reranker: RerankerSettings = RerankerSettings()
    fusion: FusionSettings = FusionSettings()
    proxy: ProxySettings = ProxySettings()
    serve: ServeSettings = ServeSettings()
    train: TrainSettings = TrainSettings()
    depth: Count = 100
    k: Count = 10
    deadline: Seconds | None = None
    min_score: Annotated[float, Field(ge=0, le=1)] | None = None

    @model_validator(mode="after")
    def _check_min_score(self) -> Self:
        if self.min_score is not None and self.reranker.calibration is None:
            raise ValueError(
                "min_score is a probability: expected reranker.calibration beside it, found none; "
                "make one with 'twopass calibrate'"
            )
        return self

    @property
    def model_name(self) -> str:
        """The second stage's name, where a request can choose from several."""
        return self.serve.name or self.reranker.model

    @model_validator(mode="after")
    def _check_models(self) -> Self:
        others = self.serve.models
        taken = {"none", self.model_name} & set(others)
        if taken:
            raise ValueError(f"serve.models: expected other names than {', '.join(sorted(taken))}")
        known = {None, self.model_name, *others}
        for rescore in (self.proxy.rerank, *self.proxy.indices.values()):
            if rescore.model not in known:
                raise ValueError(
                    f"proxy: expected a model of serve.models or {self.model_name!r}, "
                    f"found {rescore.model!r}"
                )
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read no environment or file: ``load_settings`` does that."""
        del settings_cls, env_settings, dotenv_settings, file_secret_settings
        return (init_settings,)
