"""Models of known families in ONNX Runtime on a CPU, row by row, without torch.

Each row is a separate run: it needs neither padding nor a mask, its activations stay in a core's
cache, and its score is the same, bit for bit, in whatever company. Each thread takes one row after
the other; none waits for another before the batch's end, unlike threads that share every product.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from twopass.reranker.architectures.family import Architecture
from twopass.reranker.engines.hardware import cores, weight_bits
from twopass.reranker.engines.onnx.graph import OUTPUT, Graph
from twopass.reranker.engines.onnx.products import Fp32, Int8
from twopass.reranker.engines.onnx.row_graph import build_row_graph
from twopass.reranker.files.weights import Weights
from twopass.reranker.telemetry import onnx_runtime
from twopass.reranker.text.tokens import TokenRows
from twopass.reranker.threads import Helpers

__all__ = [
    "OnnxEngine",
    "Session",
]


_QUIET = 4  # not even errors, for they are raised
_NO_ROOM = ("allocate memory", "bad_alloc", "bad allocation")


class Session:
    """Runs a graph on the calling thread only; safe to call from several threads.

    Args:
        graph: the graph; its arrays are used without a copy, so they must not change.

    """

    def __init__(self, graph: Graph) -> None:
        onnxruntime = onnx_runtime()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = _QUIET
        options.enable_mem_pattern = False  # it is for shapes that stay the same
        # the graph is as it should be: looking for something to fuse is most of the time of loading
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        arrays = graph.arrays
        values = [onnxruntime.OrtValue.ortvalue_from_numpy(array) for array in arrays.values()]
        options.add_external_initializers(list(arrays), values)
        self._session: Any = onnxruntime.InferenceSession(
            graph.written(), options, providers=["CPUExecutionProvider"]
        )

    def __call__(self, **inputs: NDArray[Any]) -> NDArray[np.float32]:
        """Return the graph's output for its inputs.

        Raises:
            MemoryError: when there is no room for the values between.

        """
        with _memory_errors():
            output: NDArray[np.float32] = self._session.run([OUTPUT], inputs)[0]
        return output


@contextmanager
def _memory_errors() -> Iterator[None]:
    """Raise MemoryError where ONNX Runtime finds no memory; it says so in words only.

    Its errors have no class in common but Exception.
    """
    try:
        yield
    except Exception as error:
        if not any(words in str(error) for words in _NO_ROOM):
            raise
        raise MemoryError(str(error)) from error


BATCH_TOKENS = 8192  # a thread and batch: at a batch's end some threads have nothing left to do


class OnnxEngine:
    """Runs a model of a known family over batches without padding.

    Args:
        architecture: the model's sizes and names.
        weights: its weights.
        typed: whether the tokenizer gives token types.
        precision: of the products with weights; all else is fp32.

    Raises:
        ModelError: when weights are missing, of other shapes or no numbers.

    """

    lanes = devices = 1

    def __init__(
        self,
        architecture: Architecture,
        weights: Weights,
        *,
        typed: bool,
        precision: Literal["fp32", "int8"] = "fp32",
    ) -> None:
        weights.check(architecture.shapes())
        self._architecture = architecture
        self._typed = typed
        product = Fp32() if precision == "fp32" else Int8(weight_bits())
        self._session = Session(build_row_graph(architecture, weights, product))
        threads = cores()
        self._helpers = Helpers(threads - 1)
        self.labels, self.vocabulary_size, self.max_positions = (
            architecture.labels,
            architecture.vocabulary_size,
            architecture.max_tokens,
        )
        self.token_budget = BATCH_TOKENS * threads

    def logits(self, batch: TokenRows) -> NDArray[np.float32]:
        """Return (n, labels) float32: the model's raw output for each row, in order.

        Raises:
            MemoryError: when there is no room for the batch.

        """
        output = np.empty((len(batch), self.labels), dtype=np.float32)
        types = batch.types if self._typed else None
        frames = self._architecture.frames(batch.ids, batch.offsets, types).astype(np.int32)

        def run(row: int) -> None:
            tokens = slice(batch.offsets[row], batch.offsets[row + 1])
            output[row] = self._session(ids=batch.ids[None, tokens], frames=frames[None, tokens])

        longest_first = np.argsort(-batch.lengths, kind="stable")
        self._helpers.run(run, longest_first.tolist())
        return output
