"""The model card: what a model was made from and how good it is, in the hub's format."""

from __future__ import annotations

import inspect
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from statistics import median
from typing import Any

from twopass.reranker.telemetry import hugging_face_hub
from twopass.reranker.training.emissions import Emissions
from twopass.reranker.training.examples import Example
from twopass.reranker.training.recipe import Recipe
from twopass.reranker.training.trainer import TrainingResult

__all__ = [
    "Card",
    "DataFacts",
    "EvaluationTable",
    "cut",
    "table",
]


def cut(text: str, characters: int = 120) -> str:
    """Return a text as one line of at most so many characters, fit for a cell."""
    line = " ".join(text.split()).replace("|", "\\|")
    return line if len(line) <= characters else line[: characters - 1].rstrip() + "…"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


_VERSIONS = ("twopass", "torch", "transformers", "tokenizers", "safetensors", "numpy", "codecarbon")


@dataclass(frozen=True, slots=True)
class DataFacts:
    """What is said of one set of examples.

    Attributes:
        name: of the data and its split.
        role: "training" or "evaluation".
        queries: how many.
        pairs: how many.
        positives: share of the pairs that are labelled relevant.
        words: median words of a query and of a passage.
        samples: a few examples.
        licence: the data's; empty where it is not known.

    """

    name: str
    role: str
    queries: int
    pairs: int
    positives: float
    words: tuple[float, float]
    samples: tuple[Example, ...] = ()
    licence: str = ""

    @classmethod
    def of(
        cls, name: str, examples: Sequence[Example], *, role: str = "training", licence: str = ""
    ) -> DataFacts:
        """Count examples; the first three are the samples."""
        pairs = sum(len(e.passages) for e in examples)
        words = (
            median(len(e.query.split()) for e in examples),
            median(len(p.split()) for e in examples for p in e.passages),
        )
        share = sum(e.positives for e in examples) / pairs
        return cls(name, role, len(examples), pairs, share, words, tuple(examples[:3]), licence)


@dataclass(frozen=True, slots=True)
class EvaluationTable:
    """What was measured on one set of queries.

    Attributes:
        name: of the set and its split.
        queries: how many.
        depth: candidates of the first stage that were rescored.
        systems: values by measure by system; the first system is the first stage.
        model: the system that is the model alone, for the metadata.

    """

    name: str
    queries: int
    depth: int
    systems: Mapping[str, Mapping[str, float]]
    model: str = "cross-encoder"

    def markdown(self) -> str:
        """Return a table of values, with differences to the first system."""
        first, *_ = self.systems.values()
        rows = [
            [
                system,
                *(
                    f"{value:.4f}" + ("" if row is first else f" ({value - first[name]:+.4f})")
                    for name, value in row.items()
                ),
            ]
            for system, row in self.systems.items()
        ]
        return table(["", *first], rows)


@dataclass(frozen=True, slots=True)
class Card:
    """Everything that a card says; ``markdown`` writes it.

    Attributes:
        name: the model's, as ``user/model`` on the hub.
        base_model: what the weights were before; a hub name where there is one.
        recipe: how it was trained.
        result: what the training came to.
        data: what it was trained and measured on.
        tables: how good it is.
        facts: about the model, as "parameters": "4.4 million".
        sources: further lines on how the examples were made: negatives, teachers, leaks.
        teachers: names of the teachers.
        emissions: what codecarbon measured.
        hardware: what it was trained on.
        language: code.
        licence: the hub's name of a licence.
        command: what trains the model again.
        example: a query and passages, for the hub's widget and the card's code.
        extra: further sections, by title.

    """

    name: str
    base_model: str
    recipe: Recipe
    result: TrainingResult
    data: Sequence[DataFacts] = ()
    tables: Sequence[EvaluationTable] = ()
    facts: Mapping[str, str] = field(default_factory=dict)
    sources: Sequence[str] = ()
    teachers: Sequence[str] = ()
    emissions: Emissions | None = None
    hardware: str = ""
    language: str = "en"
    licence: str | None = None
    command: str = ""
    example: Example | None = None
    extra: Mapping[str, str] = field(default_factory=dict)

    def markdown(self) -> str:
        """Return the whole card: YAML front matter and sections."""
        sections = {
            "Use": self._use(),
            "How good it is": self._quality(),
            "What it was made from": self._data(),
            "How it was trained": self._training(),
            "Training log": self._log(),
            "Energy and emissions": self._energy(),
            **self.extra,
            "Versions": table(["package", "version"], _versions()),
            "Citation": self._citation(),
        }
        body = "\n\n".join(f"## {title}\n\n{text}" for title, text in sections.items() if text)
        facts = "".join(f"- {name}: {value}\n" for name, value in self.facts.items())
        lead = "A cross-encoder for reranking: it reads a query and a passage together and gives "
        lead += "one score, higher for more relevant."
        return f"---\n{self.metadata()}\n---\n\n# {self.name}\n\n{lead}\n\n{facts}\n{body}\n"

    def metadata(self) -> str:
        """Return the YAML of the front matter, with a model-index of all measured values."""
        hub = hugging_face_hub()
        results = [
            hub.EvalResult(
                task_type="text-ranking",
                task_name="Reranking",
                dataset_type=t.name.rpartition("/")[0] or t.name,
                dataset_name=f"{t.name}, BM25's top {t.depth}",
                metric_type=measure.lower().replace("@", "_at_"),
                metric_name=f"{measure} ({system})",
                metric_value=round(value, 4),
            )
            for t in self.tables
            for system, row in list(t.systems.items())[1:]
            for measure, value in row.items()
        ]
        tags = ["cross-encoder", "reranker", "text-ranking", "generated_from_trainer"]
        tags += [f"loss:{type(self.recipe.make_loss()).__name__}"]
        size = sum(facts.pairs for facts in self.data if facts.role == "training")
        tags += [f"dataset_size:{size}"] if size else []
        hub_name = self.base_model.count("/") == 1 and self.base_model[0] not in "./~"
        data = hub.ModelCardData(
            language=self.language,
            license=self.licence,
            library_name="sentence-transformers",
            pipeline_tag="text-ranking",
            tags=tags,
            base_model=self.base_model if hub_name else None,
            model_name=self.name,
            eval_results=results or None,
            **self._extra_metadata(),
        )
        text: str = data.to_yaml()
        return text.strip()

    def _extra_metadata(self) -> dict[str, Any]:
        extra: dict[str, Any] = {}
        if self.example is not None:
            passages = list(self.example.passages[:3])
            extra["widget"] = [{"source_sentence": self.example.query, "sentences": passages}]
        if self.emissions is not None:
            extra["co2_eq_emissions"] = {
                "emissions": _significant(self.emissions.carbon * 1000),  # grams
                "energy_consumed": _significant(self.emissions.energy),
                "source": "codecarbon",
                "training_type": "fine-tuning",
                "on_cloud": False,
                "cpu_model": self.emissions.cpu,
                "ram_total_size": round(self.emissions.memory, 1),
                "hours_used": round(self.emissions.seconds / 3600, 3),
                "hardware_used": self.emissions.gpu or self.emissions.cpu,
            }
        return extra

    def _use(self) -> str:
        query, passages = "what causes anemia", ["...", "..."]
        if self.example is not None:
            query, passages = self.example.query, [cut(p, 70) for p in self.example.passages[:2]]
        listed = "".join(f"    {passage!r},\n" for passage in passages)
        return (
            "```python\nfrom twopass.reranker import CrossEncoder\n\n"
            f"model = CrossEncoder({self.name!r})\npassages = [\n{listed}]\n"
            f"model.rank({query!r}, passages)\n```\n\n"
            "The folder also loads in `sentence_transformers.CrossEncoder` and "
            "`transformers.AutoModelForSequenceClassification`. The score is the "
            f"{'logit' if self.recipe.output == 'logit' else 'sigmoid of the logit'}."
        )

    def _quality(self) -> str:
        parts = [
            f"{t.name}: {t.queries:,} queries, the first stage's top {t.depth} rescored; in "
            "brackets the difference to the first stage. Relevant passages that it missed stay "
            "missed.\n\n"
            f"{t.markdown()}"
            for t in self.tables
        ]
        return "\n\n".join(parts)

    def _data(self) -> str:
        rows = [
            [
                facts.name,
                facts.role,
                f"{facts.queries:,}",
                f"{facts.pairs:,}",
                f"{facts.positives:.1%}",
                f"{facts.words[0]:g} / {facts.words[1]:g}",
                facts.licence,
            ]
            for facts in self.data
        ]
        head = [
            "data",
            "role",
            "queries",
            "pairs",
            "relevant",
            "words (query / passage)",
            "licence",
        ]
        samples = [
            [cut(e.query), cut(p), _given(e.labels, at), _given(e.scores, at)]
            for facts in self.data
            if facts.role == "training"
            for e in facts.samples
            for at, p in list(enumerate(e.passages))[:2]
        ]
        parts = [f"Initial weights: {self.base_model}."]
        parts += [f"Teachers: {', '.join(self.teachers)}."] if self.teachers else []
        parts += [table(head, rows)] if rows else []
        parts += list(self.sources)
        if samples:
            parts.append("Samples:\n\n" + table(["query", "passage", "label", "teacher"], samples))
        return "\n\n".join(parts)

    def _training(self) -> str:
        loss = self.recipe.make_loss()
        formula = inspect.cleandoc(type(loss).__doc__ or "").partition("\n\nArgs:")[0]
        formula = formula.replace("\n\n::\n\n", "\n\n")  # four spaces are enough in Markdown
        values = [[f"`{name}`", f"`{value}`"] for name, value in self.recipe.to_dict().items()]
        result = self.result
        rate = result.pairs / max(result.seconds, 1e-9)
        parts = [
            f"{result.steps:,} steps, {result.pairs:,} pairs, {result.seconds / 60:.1f} minutes "
            f"({rate:.0f} pairs/s, evaluations included); the weights are those after step "
            f"{result.best_step:,}.",
            f"Hardware: {self.hardware}." if self.hardware else "",
            f"Made again by `{self.command}`." if self.command else "",
            f"### Loss: {type(loss).__name__}\n\n{formula}",
            "### Hyperparameters\n\n" + table(["name", "value"], values),
        ]
        return "\n\n".join(part for part in parts if part)

    def _log(self) -> str:
        """Return some 40 lines of the log and each evaluation, step 0 before the first step."""
        merged: dict[int, dict[str, Any]] = {}
        for entry in self.result.log:
            merged.setdefault(entry["step"], {}).update(entry)
        lines = list(merged.values())
        measures = list(dict.fromkeys(k for line in lines for k in line if k not in _OWN))
        every = -(-len(lines) // 40) or 1
        kept = [x for i, x in enumerate(lines, 1) if i % every == 0 or set(x) - _OWN]
        rows = [
            [
                f"{line.get('epoch', 0):.3f}",
                str(line["step"]),
                *(f"{line[m]:.4f}" if m in line else "" for m in ("loss", *measures)),
            ]
            for line in kept
        ]
        return table(["epoch", "step", "loss", *measures], rows) if rows else ""

    def _energy(self) -> str:
        if self.emissions is None:
            return ""
        e = self.emissions
        return (
            f"Estimated by codecarbon {e.version} (offline, the mean electricity of {e.country}; "
            f"the whole machine, other work on it included): {e.energy:.4f} kWh, "
            f"{e.carbon * 1000:.2f} g CO2eq over {e.seconds / 60:.1f} minutes. {e.cpu}, "
            f"{e.memory:.0f} GB of memory{', ' + e.gpu if e.gpu else ''}."
        )

    def _citation(self) -> str:
        citation = self.recipe.make_loss().citation
        return f"The loss: {citation}" if citation else ""


_OWN = {"step", "epoch", "loss", "rate", "seconds"}


def _given(column: Sequence[float], at: int) -> str:
    return f"{column[at]:g}" if column else ""


def _versions() -> list[list[str]]:
    rows = [["Python", platform.python_version()]]
    for name in _VERSIONS:
        try:
            rows.append([name, version(name)])
        except PackageNotFoundError:
            continue
    return rows


def _significant(value: float) -> float:
    """Round to four digits, however small the number: a short training is not none."""
    return float(f"{value:.4g}")
