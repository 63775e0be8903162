"""Data-parallel training: several processes train one model, each on its part of every step.

Gradients are summed over processes before each step (Li et al. 2020, "PyTorch Distributed",
arXiv:2006.15704), so that a step equals that of one process with the same batch, except for
rounding and dropout's random numbers. The processes are started by ``twopass train --processes``,
``torchrun`` or ``accelerate launch``, which set their rank and number in the environment.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import nn

__all__ = ["SINGLE", "Workers", "joined"]

Value = TypeVar("Value")

_PATIENCE = timedelta(days=1)  # the first process measures and mines while the others wait


@dataclass(frozen=True, slots=True)
class Workers:
    """The processes of a training run, seen from one of them.

    Attributes:
        rank: number of this process; only process 0 writes, measures and reports.
        count: number of processes.

    """

    rank: int = 0
    count: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process is the one that writes."""
        return self.rank == 0

    def part(self, rows: NDArray[np.int64], sizes: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return this process's part of a step's rows; all parts have about the same size.

        Rows are assigned by size, largest first, back and forth over the processes.
        """
        if self.count == 1:
            return rows
        dealt = np.arange(len(rows)) % (2 * self.count)
        place = np.minimum(dealt, 2 * self.count - 1 - dealt)
        own: NDArray[np.int64] = rows[np.argsort(-sizes, kind="stable")][place == self.rank]
        return own

    def seed(self, seed: int, step: int) -> None:
        """Seed this process for a step, so that checkpoints need no random state."""
        import torch

        if self.count > 1:
            own = np.random.SeedSequence([seed, step, self.rank]).generate_state(1)
            torch.manual_seed(int(own[0]))

    def sums(self, device: Any, *values: float) -> list[float]:
        """Return the sum of each value over all processes."""
        if self.count == 1:
            return list(values)
        import torch

        held = torch.tensor(values, dtype=torch.float64, device=device)
        _distributed().all_reduce(held)
        summed: list[float] = held.tolist()
        return summed

    def sum_gradients(self, weights: Sequence[nn.Parameter]) -> None:
        """Sum the gradients over all processes; a weight that none used keeps none."""
        if self.count == 1:
            return
        import torch

        used = torch.tensor([float(w.grad is not None) for w in weights], device=weights[0].device)
        parts = [torch.zeros_like(w) if w.grad is None else w.grad for w in weights]
        flat = torch.cat([used, *(part.reshape(-1) for part in parts)])
        _distributed().all_reduce(flat)
        sizes = [len(weights), *(weight.numel() for weight in weights)]
        counts, *summed = torch.split(flat, sizes)
        for weight, count, total in zip(weights, counts.tolist(), summed, strict=True):
            weight.grad = total.view_as(weight).clone() if count else None

    def share_weights(self, model: nn.Module) -> None:
        """Copy the first process's weights to all others."""
        for weight in model.state_dict().values() if self.count > 1 else ():
            _distributed().broadcast(weight, 0)

    def shared(self, make: Callable[[], Value]) -> Value:
        """Return, in every process, the value that the first one computes."""
        if self.count == 1:
            return make()
        held: list[Any] = [make() if self.leads else None]
        _distributed().broadcast_object_list(held)
        made: Value = held[0]
        return made

    def wait(self) -> None:
        """Wait until all processes have reached this point."""
        if self.count > 1:
            _distributed().barrier()


SINGLE = Workers()


@contextmanager
def joined(device: str | None) -> Iterator[tuple[Workers, str | None]]:
    """Join the process group given by the environment; without one, train in this process only.

    Args:
        device: cpu, cuda, ...; by default a GPU if there is one.

    Returns:
        The processes, and this one's device: of several GPUs the one with its number.

    """
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        yield SINGLE, device
        return
    import torch

    distributed = _distributed()
    on_gpu = torch.cuda.is_available() if device is None else device.startswith("cuda")
    if on_gpu:
        device = f"cuda:{os.environ.get('LOCAL_RANK', '0')}"
        torch.cuda.set_device(device)
    distributed.init_process_group("nccl" if on_gpu else "gloo", timeout=_PATIENCE)
    try:
        yield Workers(distributed.get_rank(), count), device
    finally:
        distributed.destroy_process_group()


def _distributed() -> Any:
    """Return torch.distributed, which has no types and is loaded only when needed."""
    from torch import distributed

    return distributed
