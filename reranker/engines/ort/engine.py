"""Models of BERT's kind in ONNX Runtime on a CPU, without torch.

Each row is a run of its own: it needs neither padding nor a mask, its activations stay in a core's
cache, and its score is the same, bit for bit, in whatever company. Each thread takes one row after
the other; none waits for another before the batch's end, as threads do that share every product.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from reranker.engines.cores import cores, weight_bits
from reranker.engines.ort.bert import build
from reranker.engines.ort.classifier import Classifier
from reranker.engines.ort.products import Fp32, Int8
from reranker.engines.ort.session import Session
from reranker.engines.places import places
from reranker.engines.weights import Weights
from reranker.sharing import Helpers
from reranker.tokens import TokenRows

__all__ = ["OnnxEngine"]

BATCH_TOKENS = 8192  # a thread and batch: at a batch's end some threads have nothing left to do


class OnnxEngine:
    """Runs a model of BERT's kind over batches without padding.

    Args:
        spec: the model's sizes and names.
        weights: its weights.
        typed: whether the model reads segment numbers.
        precision: of the products with weights; all else is fp32.

    Raises:
        ModelError: when weights are missing, of other shapes or no numbers.

    """

    lanes = devices = 1

    def __init__(
        self,
        spec: Classifier,
        weights: Weights,
        *,
        typed: bool,
        precision: Literal["fp32", "int8"] = "fp32",
    ) -> None:
        weights.check(spec.shapes())
        self._spec = spec
        self._typed = typed
        product = Fp32() if precision == "fp32" else Int8(weight_bits())
        self._session = Session(build(spec, weights, product))
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
        numbers = frames.astype(np.int32)

        def run(row: int) -> None:
            tokens = slice(batch.offsets[row], batch.offsets[row + 1])
            output[row] = self._session(ids=batch.ids[None, tokens], frames=numbers[None, tokens])

        longest_first = np.argsort(-batch.lengths, kind="stable")
        self._helpers.run(run, longest_first.tolist())
        return output
