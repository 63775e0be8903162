"""A training run: from settings to a model folder with its card."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from twopass.pipeline.apps.assembly import model_source
from twopass.pipeline.apps.settings import Settings
from twopass.pipeline.apps.training.preparation import ExampleSet, Preparation
from twopass.pipeline.training.development import Development, first_stage, headline_measures

if TYPE_CHECKING:
    from twopass.reranker.training.card import Card, EvaluationTable
    from twopass.reranker.training.emissions import Emissions
    from twopass.reranker.training.subject import Subject
    from twopass.reranker.training.trainer import Progress, TrainingResult
    from twopass.reranker.training.workers import Workers

__all__ = ["Outcome", "TrainingJob"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a training run.

    Attributes:
        model: the folder that was written.
        tables: what was measured on the development queries.
        result: steps, time and log.

    """

    model: Path
    tables: Sequence[EvaluationTable]
    result: TrainingResult


class TrainingJob:
    """Trains as the settings say.

    Args:
        settings: all settings, mainly those of ``train``.
        out: the model's folder; its subfolder ``training`` holds examples, checkpoint, log and
            plot, and can be deleted afterwards.
        command: the command that trains the model again, for the card.
        say: called with a line about each step of the work.
        progress: called after each training step.

    """

    def __init__(
        self,
        settings: Settings,
        out: Path,
        *,
        command: str = "",
        say: Callable[[str], None] = lambda _: None,
        progress: Callable[[Progress], None] = lambda _: None,
    ) -> None:
        self._settings, self._own, self._out = settings, settings.train, out
        self._command, self._say, self._progress = command, say, progress

    def run(self, *, restart: bool = False) -> Outcome:
        """Train, or resume an interrupted training.

        Raises:
            TrainingDataError: when the data cannot be trained on.
            RerankerError: when the model cannot be loaded or the training fails.

        """
        from twopass.reranker.training.emissions import check_country
        from twopass.reranker.training.workers import joined

        check_country(self._own.country)
        with joined(self._own.device) as (workers, device):
            return self._run(workers, device, restart=restart)

    def _run(self, workers: Workers, device: str | None, *, restart: bool) -> Outcome:
        """Train as one of the processes; only the first prepares, measures and writes."""
        from twopass.reranker.training.emissions import measured
        from twopass.reranker.training.student import start_from
        from twopass.reranker.training.trainer import Trainer

        own, recipe = self._own, self._own.made_recipe()
        work = self._out / "training"
        preparation = Preparation(self._settings, work, self._say)
        subject = start_from(
            model_source(self._settings, own.model),
            recipe,
            layers=own.layers,
            take=own.take,
            hidden=own.hidden,
            device=device,
            name=own.model,
        )
        sets, development = preparation.run() if workers.leads else ([], [])
        before = first_stage([d.table(None) for d in development])
        evaluate = _evaluation(development) if development else None
        for name, value in before.items():
            if "fused" not in name:
                self._say(f"first stage: {name} {value:.4f}")
        trainer = Trainer(
            subject,
            recipe,
            workers.shared(lambda: [e for prepared in sets for e in prepared.examples]),
            work,
            evaluate=evaluate,
            progress=self._progress if workers.leads else lambda _: None,
            workers=workers,
        )
        if workers.leads:
            kind = "pairs" if recipe.make_loss().needs == "pairs" else "lists"
            among = f", {workers.count} processes" if workers.count > 1 else ""
            self._say(f"training: {len(trainer.examples):,} {kind}, {trainer.steps:,} steps{among}")
        with measured(own.country if workers.leads else None) as energy:
            result = trainer.train(restart=restart)
        if not workers.leads:
            return Outcome(self._out, [], result)
        tables = [d.table(subject) for d in development]
        subject.save(self._out, recipe)
        card = self._card(subject, result, sets, development, tables, energy.emissions)
        (self._out / "README.md").write_text(card.markdown(), encoding="utf-8")
        self._plot(result, before, work)
        return Outcome(self._out, tables, result)

    def _card(
        self,
        subject: Subject,
        result: TrainingResult,
        sets: Sequence[ExampleSet],
        development: Sequence[Development],
        tables: Sequence[EvaluationTable],
        emissions: Emissions | None,
    ) -> Card:
        from twopass.reranker.training.card import Card, DataFacts
        from twopass.reranker.training.emissions import machine

        own = self._own
        facts = [DataFacts.of(s.name, s.examples, licence=s.licence) for s in sets]
        facts += [d.facts() for d in development]
        model = subject.model
        parameters = sum(weight.numel() for weight in model.parameters())
        config = model.config
        return Card(
            name=own.name or self._out.name,
            base_model=own.model,
            recipe=own.made_recipe(),
            result=result,
            data=facts,
            tables=tables,
            facts={
                "architecture": f"{type(model).__name__}, {config.num_hidden_layers} layers, "
                f"{config.hidden_size} wide, {parameters / 1e6:.1f} million parameters",
                "longest pair": f"{subject.encoder.max_length} tokens",
                "weights": "fp16 safetensors, run as fp32",
            },
            sources=[account for prepared in sets for account in prepared.accounts],
            teachers=own.teachers,
            emissions=emissions,
            hardware=machine(),
            licence=own.licence,
            command=self._command,
            example=next((e for s in sets for e in s.examples), None),
        )

    def _plot(self, result: TrainingResult, baselines: dict[str, float], work: Path) -> None:
        from twopass.reranker.contract.errors import RecipeError
        from twopass.reranker.training.plot import plot_log

        try:
            for ending in ("svg", "png"):
                plot_log(result.log, work / f"training.{ending}", baselines=baselines)
        except RecipeError as error:
            self._say(str(error))


def _evaluation(development: Sequence[Development]) -> Callable[[Subject], dict[str, float]]:
    return lambda subject: headline_measures([d.table(subject) for d in development])
