"""What the pipeline is made of, as values: frozen, checked, named as users write them."""

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

    All that concerns a server alone is described with ``ServerSettings``.

    Attributes:
        kind: "bm25", the in-process index; "rank-bm25", the same documents scored by that
            library; a server, "elasticsearch" or "opensearch"; or the name of a plugin.
        index: the index's folder, or its name on the server.
        analyzer: how text becomes terms, when an index is built; an index knows its own.
        formula: the BM25 formula: lucene, okapi, l or plus. Where neither it nor a parameter is
            set, an index is built with lucene and searched as it was built.
        k1: how slowly repetitions of a term saturate; None is the formula's default, as below.
        b: how much a document's length counts.
        lengths: "lucene-byte" rounds lengths as Lucene does; for the formula lucene only.
        scaled: multiply scores by k1 + 1, as Elasticsearch does; for the formula lucene only.
        title_weight: how often a title counts, when an index is built.
        text_weight: how often a text counts, when an index is built.
        threads: for the analysis of text, when an index is built.

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
        """The formula with its parameters; None where nothing is said of it."""
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
        model: one that ships (twopass/default), a folder, a name on the Hugging Face hub, or
            plugin:NAME, another distribution's scorer.
        device: cpu, cuda, ...; None chooses. Several, between commas, share the work.
        max_length: tokens a pair at most; None is the model's own.
        precision: fp32, bf16, fp16, int8 (on a CPU), or auto, which measures.
        engine: onnx, packed or torch; auto is the fastest that takes the model.
        cuda_graphs: start small batches on a GPU as CUDA graphs.
        token_budget: padded tokens a batch at most; None is what suits the device.
        passages: how documents are read that are too long for the model.
        cascade: a cheaper scorer that chooses what the model reads.
        calibration: scores as probabilities, by a name (beside the model) or a JSON file.
        remote: a service that scores over HTTP.
        cache: scores of the model that are kept.
        fallback: who is asked in turn where the model, or else the service, fails: ``cpu`` (the
            model there, in fp32), ``cpu-int8``, ``remote`` or, as the last, ``none``: the first
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
    def chooser(self) -> str | None:
        """What chooses what the model reads; None where it reads all."""
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
        """How many score columns a search fuses, the first stage's among them."""
        return 2 if self.chooser is None else 3

    @property
    def chain(self) -> tuple[str, ...]:
        """Who is asked, in turn: ``model`` or ``remote``, and what follows."""
        service_first = self.remote.url is not None and "remote" not in self.fallback
        return ("remote" if service_first else "model", *self.fallback)

    @field_validator("fallback", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        """Read what the command line can only say as text: cpu,none."""
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
    """All settings of a search pipeline; reads nothing but its arguments (see load_settings).

    Attributes:
        retriever: the first stage.
        rerank: whether there is a second stage.
        reranker: the second stage.
        fusion: how their scores become one.
        proxy: the proxy in front of a search engine.
        serve: the HTTP service.
        train: how a model is trained.
        depth: how many candidates the second stage reads, a query.
        k: how many results a query gives.
        deadline: seconds that a search may take; what was not scored by then stays below what
            was. None for as long as it takes.
        min_score: only results whose probability of relevance is at least this; for a calibrated
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
        """What the second stage is called where several can be chosen from."""
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
        """Leave out all that is around: ``load_settings`` reads it, when asked."""
        del settings_cls, env_settings, dotenv_settings, file_secret_settings
        return (init_settings,)
