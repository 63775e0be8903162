"""A graph and its arrays -> something that runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reranker.engines.ort.graph import OUTPUT, Graph
from reranker.telemetry import onnx_runtime

__all__ = ["Session"]

_QUIET = 4  # not even errors, for they are raised
_NO_ROOM = ("allocate memory", "bad_alloc", "bad allocation")


class Session:
    """Runs a graph on the calling thread alone; safe to call from several threads.

    Args:
        graph: the graph; its arrays are read where they lie, so nobody may change them.

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
