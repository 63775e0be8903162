"""The training loop; an interrupted run ends with the same weights as an uninterrupted one."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from twopass.reranker.contract.errors import DivergedError, ExamplesError, TrainingMemoryError
from twopass.reranker.engines.torch.engine import memory_errors
from twopass.reranker.training.checkpoint import Checkpoints, State, fingerprint, interruptible
from twopass.reranker.training.examples import Example, as_pairs
from twopass.reranker.training.recipe import Recipe
from twopass.reranker.training.step import (
    freeze,
    make_optimizer,
    set_rates,
    step_count,
    step_rows,
    token_parts,
)
from twopass.reranker.training.subject import Subject
from twopass.reranker.training.workers import SINGLE, Workers

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Progress", "Trainer", "TrainingResult"]

Evaluate = Callable[[Subject], Mapping[str, float]]


@dataclass(frozen=True, slots=True)
class Progress:
    """Progress of a training run, after each step, and before the first if that is evaluated.

    Attributes:
        step: steps done, of ``steps``.
        loss: of the last step, a pair's or a list's mean; NaN before the first.
        pairs_per_second: since the last start; 0 before the first step.
        seconds_left: estimated from the steps since the last start; NaN before the first.
        metrics: of an evaluation after this step, if there was one.

    """

    step: int
    steps: int
    loss: float
    pairs_per_second: float
    seconds_left: float
    metrics: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class TrainingResult:
    """The result of a training run.

    Attributes:
        steps: number of steps.
        pairs: number of pairs in them.
        seconds: their duration over all starts, including evaluations.
        best_step: the step with the best weights; the last if nothing was evaluated.
        log: its lines: step, epoch, mean loss since the last line, rate; or step and metrics.

    """

    steps: int
    pairs: int
    seconds: float
    best_step: int
    log: Sequence[Mapping[str, Any]]


class Trainer:
    """Trains a model in place.

    The order of the examples depends only on the seed and the step, and a checkpoint holds the rest
    (weights, optimiser, random numbers): an interrupted and resumed training ends with the same
    weights as an uninterrupted one, bit for bit on a CPU.

    Args:
        subject: the model.
        recipe: the hyperparameters.
        examples: the training data; examples that the loss cannot use are ignored.
        folder: for the checkpoint, the best weights and the log.
        evaluate: measures the model, before the first step (step 0 of the log) and after; the
            first of its values decides which of the trained weights are kept.
        progress: called after each step.
        workers: the processes that train together; only the first evaluates and writes. All have
            the same arguments except ``evaluate`` and ``progress``.

    Raises:
        ExamplesError: when the loss can use no example.

    """

    def __init__(
        self,
        subject: Subject,
        recipe: Recipe,
        examples: Sequence[Example],
        folder: Path,
        *,
        evaluate: Evaluate | None = None,
        progress: Callable[[Progress], None] = lambda _: None,
        workers: Workers = SINGLE,
    ) -> None:
        self._subject, self._recipe, self._workers = subject, recipe, workers
        self._loss = recipe.make_loss()
        usable = [e for e in examples if self._loss.usable(e)]
        if not usable:
            raise ExamplesError(
                f"expected examples that the loss {recipe.loss!r} can learn from, found none among "
                f"{len(examples)}; {type(self._loss).usable.__doc__ or ''}"
            )
        self.examples = as_pairs(usable) if self._loss.needs == "pairs" else usable
        self.steps = step_count(len(self.examples), recipe.batch_size, recipe.epochs)
        mark = fingerprint(recipe, self.examples, subject.name)
        self._checkpoints = Checkpoints(folder, mark, writes=workers.leads)
        self._evaluate = evaluate if workers.leads else None
        self._progress = progress

    def train(self, *, restart: bool = False) -> TrainingResult:
        """Train to the end, from the folder's checkpoint if there is one.

        Args:
            restart: start again, ignoring the checkpoint.

        Raises:
            ResumeError: when the checkpoint is of another training.
            DivergedError: when the loss is no number any more.
            TrainingMemoryError: when the device has no room.
            KeyboardInterrupt: after a checkpoint was written.

        """
        state, optimizer = self._begin(restart)
        clock = _Clock(state)
        if self._evaluate is not None and not state.log:
            first = self._measure(self._evaluate, state, clock)
            self._progress(Progress(0, self.steps, math.nan, 0.0, math.nan, first))
            clock = _Clock(state)
        with interruptible() as interrupted:
            for step in range(state.step, self.steps):
                loss = self._step(step, optimizer, state)
                state.step = step + 1
                metrics = self._after(state, clock)
                self._progress(clock.progress(state, self.steps, loss, metrics))
                stopped, last = self._anywhere(interrupted()), state.step == self.steps
                if stopped or last or self._due(self._recipe.save_every, state.step):
                    self._checkpoints.save(state, self._subject.model, optimizer)
                if stopped:
                    raise KeyboardInterrupt
        return self._finish(state)

    def _begin(self, restart: bool) -> tuple[State, Any]:
        import torch

        model = self._subject.model
        if restart:
            self._checkpoints.clear()
        self._workers.wait()
        self._workers.share_weights(model)
        torch.manual_seed(self._recipe.seed)
        freeze(model, self._recipe.freeze)
        if self._recipe.checkpointing:
            _keep_fewer_activations(model)
        optimizer = make_optimizer(model, self._recipe)
        state = self._checkpoints.load(model, optimizer)
        if state is None:
            self._checkpoints.clear()
        return state or State(), optimizer

    def _anywhere(self, here: bool) -> bool:
        """Return whether a condition holds in any of the processes."""
        return any(self._workers.sums(self._subject.device, float(here)))

    def _step(self, step: int, optimizer: Any, state: State) -> float:
        """Make one step and return its mean loss."""
        import torch

        recipe, model = self._recipe, self._subject.model
        rows = step_rows(step, len(self.examples), recipe.batch_size, recipe.seed)
        model.train()
        optimizer.zero_grad()
        self._workers.seed(recipe.seed, step)
        try:
            with memory_errors():
                total, pairs = self._gradients(rows)
                state.pairs += pairs
                if not math.isfinite(total):
                    raise self._diverged(step, total)
                weights = [w for w in model.parameters() if w.requires_grad]
                self._workers.sum_gradients(weights)
                if recipe.clip is not None:
                    torch.nn.utils.clip_grad_norm_(weights, recipe.clip)
                set_rates(optimizer, recipe.rate(step, self.steps))
                optimizer.step()
                state.recent.append(total)
        except MemoryError as error:
            raise TrainingMemoryError(
                f"step {step + 1}: expected room for {recipe.token_budget:,} tokens at one time, "
                "but the device's memory is full; lower token_budget (gradients are summed as "
                "before), turn checkpointing on, or lower max_length"
            ) from error
        return total

    def _gradients(self, rows: NDArray[np.int64]) -> tuple[float, int]:
        """Add this process's gradients; return the step's mean loss and its number of pairs."""
        import torch

        sizes = [sum(map(len, self.examples[row].passages)) for row in rows]
        own = [self.examples[row] for row in self._workers.part(rows, np.array(sizes))]
        total, pairs = 0.0, 0
        if own:
            for part in token_parts(own, self._subject.encoder, self._recipe.token_budget):
                loss = self._part_loss(part) / len(rows)
                torch.autograd.backward(loss)
                total += loss.item()
                pairs += len(part.rows)
        total, whole = self._workers.sums(self._subject.device, total, pairs)
        return total, int(whole)

    def _part_loss(self, part: Any) -> Tensor:
        """Return the sum of the losses of a part's lists."""
        import torch

        device = self._subject.device
        mask, labels, scores = (
            torch.from_numpy(column).to(device) for column in (part.mask, part.labels, part.scores)
        )
        flat = self._subject.forward(part.rows, self._recipe.precision)
        logits = torch.zeros(mask.shape, device=device).masked_scatter(mask, flat)
        return self._loss(logits, labels, scores, mask).sum()

    def _diverged(self, step: int, loss: float) -> DivergedError:
        return DivergedError(
            f"step {step + 1}: expected a loss, found {loss}; lower learning_rate (now "
            f"{self._recipe.learning_rate:g}), lengthen warmup, clip gradients, or use precision "
            "fp32; the last checkpoint is from before, so change the recipe and --restart"
        )

    def _after(self, state: State, clock: _Clock) -> Mapping[str, float]:
        """Log and evaluate when due; return the measures."""
        recipe, last = self._recipe, state.step == self.steps
        clock.tick(state)
        if self._due(recipe.log_every, state.step) or last:
            per_epoch = -(-len(self.examples) // recipe.batch_size)
            entry = {
                "step": state.step,
                "epoch": round(state.step / per_epoch, 4),
                "loss": round(sum(state.recent) / len(state.recent), 6),
                "rate": recipe.rate(state.step - 1, self.steps),
                "seconds": round(state.seconds, 1),
            }
            self._log(state, entry)
            state.recent.clear()
        if self._evaluate is None or not (self._due(recipe.eval_every, state.step) or last):
            return {}
        metrics = self._measure(self._evaluate, state, clock)
        value = next(iter(metrics.values()))
        if state.best is None or value > state.best[0]:
            state.best = (value, state.step)
            self._checkpoints.keep_best(self._subject.model)
        return metrics

    def _measure(self, evaluate: Evaluate, state: State, clock: _Clock) -> Mapping[str, float]:
        """Evaluate and log; return the measures."""
        metrics = dict(evaluate(self._subject))
        clock.tick(state)
        self._log(state, {"step": state.step, **{k: round(v, 6) for k, v in metrics.items()}})
        return metrics

    def _log(self, state: State, entry: dict[str, Any]) -> None:
        state.log.append(entry)
        self._checkpoints.append(entry)

    @staticmethod
    def _due(every: int | None, step: int) -> bool:
        return every is not None and step % every == 0

    def _finish(self, state: State) -> TrainingResult:
        if state.best is not None:
            self._checkpoints.load_best(self._subject.model)
        self._subject.model.eval()
        best = self.steps if state.best is None else state.best[1]
        return TrainingResult(state.step, state.pairs, state.seconds, best, tuple(state.log))


def _keep_fewer_activations(model: Any) -> None:
    """Turn gradient checkpointing on, by the name it has in this version of transformers."""
    for name in ("activation_checkpointing_enable", "gradient_checkpointing_enable"):
        if hasattr(model, name):
            getattr(model, name)({"use_reentrant": False})
            return


class _Clock:
    """Time since this start, added to that of earlier starts."""

    def __init__(self, state: State) -> None:
        self._started, self._before = perf_counter(), state.seconds
        self._pairs, self._step = state.pairs, state.step

    def tick(self, state: State) -> None:
        state.seconds = self._before + perf_counter() - self._started

    def progress(
        self, state: State, steps: int, loss: float, metrics: Mapping[str, float]
    ) -> Progress:
        spent = max(perf_counter() - self._started, 1e-9)
        speed = (state.pairs - self._pairs) / spent
        left = spent / (state.step - self._step) * (steps - state.step)
        return Progress(state.step, steps, loss, speed, left, metrics)
