"""Checkpoints, written between steps so that an interrupted training can resume."""

from __future__ import annotations

import hashlib
import json
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from twopass.reranker.contract.errors import ResumeError
from twopass.reranker.training.examples import Example
from twopass.reranker.training.recipe import Recipe

__all__ = [
    "Checkpoints",
    "State",
    "fingerprint",
    "interruptible",
]


@contextmanager
def interruptible() -> Iterator[Callable[[], bool]]:
    """Give a function that returns whether SIGINT (Ctrl-C) or SIGTERM was received.

    The first signal is only recorded, so that a step can finish and a checkpoint be written; the
    second interrupts at once. Signals are only caught in the main thread.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    caught: list[int] = []

    def note(number: int, _: Any) -> None:
        if caught:
            raise KeyboardInterrupt
        caught.append(number)

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(caught)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


_UNDECIDED = ("token_budget", "checkpointing", "log_every", "save_every", "output")


def fingerprint(recipe: Recipe, examples: Sequence[Example], start: str) -> str:
    """Return a hash of what a training depends on: recipe, examples and initial weights."""
    decisive = {k: v for k, v in recipe.to_dict().items() if k not in _UNDECIDED}
    digest = hashlib.blake2b(json.dumps([decisive, start]).encode(), digest_size=16)
    for example in examples:
        digest.update(repr(example).encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


@dataclass(slots=True)
class State:
    """The state of a training run.

    Attributes:
        step: number of steps done.
        pairs: number of pairs in them.
        seconds: their duration over all starts.
        best: the best evaluation so far: its value, and the step after which it was made.
        recent: the losses since the last line of the log.
        log: the lines of the log.

    """

    step: int = 0
    pairs: int = 0
    seconds: float = 0.0
    best: tuple[float, int] | None = None
    recent: list[float] = field(default_factory=list)
    log: list[dict[str, Any]] = field(default_factory=list)


class Checkpoints:
    """A folder with the last checkpoint, the best weights and the log; written atomically.

    Args:
        folder: created if it is missing.
        mark: the training's fingerprint.
        writes: whether this process writes; only one of several does.

    """

    def __init__(self, folder: Path, mark: str, *, writes: bool = True) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._last, self._best = folder / "checkpoint.pt", folder / "best.pt"
        self._log = folder / "log.jsonl"
        self._mark, self._writes = mark, writes

    def save(self, state: State, model: Any, optimizer: Any) -> None:
        """Write everything that the next step depends on."""
        import torch

        if not self._writes:
            return
        cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
        held = {
            "mark": self._mark,
            "state": {name: getattr(state, name) for name in State.__slots__},
            "model": model.state_dict(),
            "optimizer": optimizer.state_dict(),
            "random": torch.get_rng_state(),
            "cuda": cuda,
        }
        _write(self._last, held)

    def load(self, model: Any, optimizer: Any) -> State | None:
        """Load the last checkpoint; return None if there is none.

        Raises:
            ResumeError: when it is of another training or cannot be read.

        """
        import torch

        if not self._last.exists():
            return None
        held = _read(self._last)
        if held.get("mark") != self._mark:
            raise ResumeError(
                f"{self._last.parent}: expected a checkpoint of this training, found one of other "
                "settings or data; choose another folder, or start again (--restart)"
            )
        model.load_state_dict(held["model"])
        optimizer.load_state_dict(held["optimizer"])
        torch.set_rng_state(held["random"])
        if held["cuda"] and torch.cuda.is_available():
            torch.cuda.set_rng_state_all(held["cuda"])
        state = State(**held["state"])
        self._rewrite(state.log)
        return state

    def clear(self) -> None:
        """Delete the files of an earlier training."""
        for path in (self._last, self._best, self._log) if self._writes else ():
            path.unlink(missing_ok=True)

    def keep_best(self, model: Any) -> None:
        """Save the weights as the best so far."""
        _write(self._best, {"mark": self._mark, "model": model.state_dict()})

    def load_best(self, model: Any) -> None:
        """Load the best weights into the model."""
        model.load_state_dict(_read(self._best)["model"])

    def append(self, entry: dict[str, Any]) -> None:
        """Add a line to the log."""
        if not self._writes:
            return
        with self._log.open("a", encoding="utf-8") as out:
            out.write(json.dumps(entry) + "\n")

    def _rewrite(self, log: Sequence[dict[str, Any]]) -> None:
        """Drop the lines written after the checkpoint, because those steps are repeated."""
        if self._writes:
            lines = "".join(json.dumps(entry) + "\n" for entry in log)
            self._log.write_text(lines, encoding="utf-8")


def _write(path: Path, held: dict[str, Any]) -> None:
    import torch

    part = path.with_suffix(".part")
    torch.save(held, part)
    part.replace(path)


def _read(path: Path) -> dict[str, Any]:
    import torch

    try:
        held: dict[str, Any] = torch.load(path, weights_only=True, map_location="cpu")
    except Exception as error:  # torch raises what unpickling and unzipping raise
        raise ResumeError(
            f"{path}: expected a checkpoint, could not read it: {type(error).__name__}; "
            "start again (--restart)"
        ) from error
    return held
