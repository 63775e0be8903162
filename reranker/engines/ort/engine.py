"""Models of BERT's kind in ONNX Runtime on a CPU, without torch.

A batch is cut into runs: rows of one length, few enough for their activations to stay in a core's
cache. A run needs neither padding nor a mask, and each thread takes one run after the other: no
thread waits for another before the batch's end, as threads do that share every single product.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from reranker.engines.cores import cores
from reranker.engines.ort.bert import build
from reranker.engines.ort.classifier import Classifier
from reranker.engines.ort.products import fp32
from reranker.engines.ort.session import Session
from reranker.engines.ort.sharing import Helpers
from reranker.engines.places import places
from reranker.engines.weights import Weights
from reranker.tokens import TokenRows

__all__ = ["OnnxEngine"]

RUN_TOKENS = 512
BATCH_TOKENS = 8192  # a thread and batch: the last runs of a batch leave some threads idle


class OnnxEngine:
    """Runs a model of BERT's kind over batches without padding.

    Args:
        spec: the model's sizes and names.
        weights: its weights.
        typed: whether the model reads segment numbers.

    Raises:
        ModelError: when weights are missing, of other shapes or no numbers.

    """

    def __init__(self, spec: Classifier, weights: Weights, *, typed: bool) -> None:
        weights.check(spec.shapes())
        self._spec = spec
        self._typed = typed
        self._session = Session(build(spec, weights, fp32))
        threads = cores()
        self._helpers = Helpers(threads - 1)
        self.labels, self.words, self.positions = spec.labels, spec.words, spec.positions
        self.token_budget = BATCH_TOKENS * threads

    def logits(self, batch: TokenRows) -> NDArray[np.float32]:
        """Return (n, labels) float32: the model's raw output for each row, in order.

        Raises:
            MemoryError: when there is no room for the batch.

        """
        output = np.empty((len(batch), self.labels), dtype=np.float32)
        frames = places(batch, self._spec.pad_id)
        if self._typed:
            frames += batch.types.astype(np.int64) * self._spec.places
        numbers, starts, lengths = frames.astype(np.int32), batch.offsets[:-1], batch.lengths

        def run(rows: NDArray[np.int64]) -> None:
            tokens = starts[rows][:, None] + np.arange(lengths[rows[0]])
            output[rows] = self._session(ids=batch.ids[tokens], frames=numbers[tokens])

        self._helpers.run(run, _runs(lengths))
        return output


def _runs(lengths: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Cut rows into runs: the numbers of rows of one length, the longest first."""
    if len(lengths) == 0:
        return []
    order = np.argsort(-lengths, kind="stable")
    borders = np.flatnonzero(np.diff(lengths[order])) + 1
    runs = []
    for same in np.split(order, borders):
        size = max(1, RUN_TOKENS // max(1, int(lengths[same[0]])))
        runs += [same[start : start + size] for start in range(0, len(same), size)]
    return runs
