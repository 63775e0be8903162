"""One of several processes that train together: run with RANK, WORLD_SIZE and their address set.

Arguments: the model's folder, and one for what is left behind.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import torch

from twopass.reranker.training import Example, Recipe, Trainer, start_from
from twopass.reranker.training.workers import Workers, joined

EXAMPLES = [
    Example(
        f"What is the {thing}?",
        (f"The {thing} is the largest city.", "A small museum of art", "road, river & " * (n % 5)),
        (1.0, 0.0, 0.0),
    )
    for n, thing in enumerate(["capital", "river", "town", "road", "museum", "history", "city"])
]
# seven lists in batches of three: the parts are unequal, and the last one has no list for a process
RECIPE = Recipe(
    loss="softmax", batch_size=3, epochs=3, learning_rate=3e-3, log_every=2, save_every=4, seed=5
)
PLAIN = RECIPE.changed(dropout=0.0)


def train(model: Path, folder: Path, recipe: Recipe, workers: Workers, stop: int = 0) -> None:
    """Train and keep the weights; one process alone is told to stop after a step."""
    subject = start_from(model, recipe, device="cpu")

    def told(progress):
        if stop and progress.step == stop and workers.rank == workers.count - 1:
            os.kill(os.getpid(), signal.SIGINT)

    def evaluate(subject):
        assert workers.leads
        return {"value": float(-subject.predict([("What is the road?", "river")])[0])}

    trainer = Trainer(
        subject, recipe, EXAMPLES, folder, evaluate=evaluate, progress=told, workers=workers
    )
    try:
        result = trainer.train()
    except KeyboardInterrupt:
        assert stop
        return
    assert result.pairs == 3 * 21
    if workers.leads:
        torch.save(subject.model.state_dict(), folder / "weights.pt")


if __name__ == "__main__":
    model, out = map(Path, sys.argv[1:])
    torch.set_num_threads(1)
    with joined("cpu") as (workers, device):
        assert device == "cpu"
        train(model, out / "plain", PLAIN, workers)
        train(model, out / "whole", RECIPE, workers)
        train(model, out / "cut", RECIPE, workers, stop=5)
        train(model, out / "cut", RECIPE, workers)
