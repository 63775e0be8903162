"""CUDA graphs: what a GPU does for a batch, recorded once for batches of a size and started as one.

A graph is of one size only, so a batch is padded to one of a few, with extra rows: valid ones, so
that nothing else needs to know of them. Sizes are a fifth apart or less; of rows of 100 candidates
there are about a dozen.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np

from twopass.reranker.text.tokens import TokenRows

if TYPE_CHECKING:
    import torch
    from torch import Tensor

__all__ = ["MAX_GRAPH_TOKENS", "Graphs", "pad_to_recorded_size", "padded_columns"]

_LOG = logging.getLogger(__name__)

MAX_GRAPH_TOKENS = 16384  # tokens: beyond, a GPU computes for longer than its kernels take to start
_KEPT = 64  # graphs, the last ones used
_COLUMNS = 128


def pad_to_recorded_size(batch: TokenRows) -> TokenRows:
    """Return the batch with rows behind its own, so that rows and tokens are of few numbers."""
    rows, tokens, longest = len(batch), len(batch.ids), int(batch.lengths.max(initial=1))
    more = _rounded(rows + 1) - rows
    while (rest := _rounded(tokens + more) - tokens) > more * longest:
        more = _rounded(rows + more + 1) - rows
    lengths = rest // more + (np.arange(more) < rest % more)
    return TokenRows(
        np.concatenate([batch.ids, np.zeros(rest, dtype=np.int32)]),
        np.concatenate([batch.types, np.zeros(rest, dtype=np.int8)]),
        np.concatenate([batch.offsets, tokens + np.cumsum(lengths)]),
    )


def padded_columns(batch: TokenRows) -> int:
    """Return how wide a batch is taken to be: a multiple of 128 that its longest row fits into."""
    return -(-int(batch.lengths.max(initial=1)) // _COLUMNS) * _COLUMNS


def _rounded(number: int) -> int:
    """Round up, to one of four numbers between each power of two and the next; 8 at least."""
    step = max(8, 1 << max(0, (number - 1).bit_length() - 3))
    return -(-number // step) * step


@dataclass(frozen=True, slots=True)
class _Recorded:
    """A graph, where it reads and where it writes."""

    graph: Any
    inputs: Sequence[Tensor]
    output: Tensor


class Graphs:
    """Runs a function of tensors by a graph for each combination of shapes.

    The first run of a shape records its graph. Where that fails, as on devices without graphs, the
    function is called as it is from then on. Safe to use from several threads.

    Args:
        function: of tensors on the device; it waits for nothing.
        device: a GPU.

    """

    def __init__(self, function: Callable[..., Tensor], device: torch.device) -> None:
        self._function = function
        self._device = device
        self._lock = Lock()
        self._recorded: OrderedDict[tuple[torch.Size, ...], _Recorded] = OrderedDict()
        self._pool: Any = None
        self.works = True

    def __call__(self, *inputs: Tensor) -> Tensor:
        """Return what the function returns for the inputs."""
        import torch

        if self.works:
            with self._lock:
                try:
                    with torch.cuda.device(self._device):
                        return self._replayed(inputs)
                except (RuntimeError, AssertionError) as error:  # a full memory is one too
                    _LOG.warning("CUDA graphs are left off, for one failed: %s", error)
                    self.works = False
                    self._recorded.clear()
        return self._function(*inputs)

    def _replayed(self, inputs: Sequence[Tensor]) -> Tensor:
        """Return the output of the graph for inputs of these shapes, which is recorded first."""
        shapes = tuple(tensor.shape for tensor in inputs)
        if shapes not in self._recorded:
            self._recorded[shapes] = self._record([tensor.clone() for tensor in inputs])
            if len(self._recorded) > _KEPT:
                self._recorded.popitem(last=False)
        self._recorded.move_to_end(shapes)
        recorded = self._recorded[shapes]
        for kept, given in zip(recorded.inputs, inputs, strict=True):
            kept.copy_(given, non_blocking=True)
        recorded.graph.replay()
        return recorded.output.clone()

    def _record(self, inputs: Sequence[Tensor]) -> _Recorded:
        """Run the function once, for what is only done once, and record a second run.

        All graphs share their memory: each one's output is copied before another is started.
        """
        import torch

        aside: Any = torch.cuda.Stream(self._device)  # type: ignore[no-untyped-call]
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            self._function(*inputs)
        torch.cuda.current_stream().wait_stream(aside)
        graph: Any = torch.cuda.CUDAGraph()
        self._pool = self._pool or torch.cuda.graph_pool_handle()
        with torch.cuda.graph(graph, pool=self._pool, capture_error_mode="thread_local"):
            output = self._function(*inputs)
        return _Recorded(graph, inputs, output)
