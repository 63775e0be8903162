"""A standard ONNX file in ONNX Runtime, fed as others feed it: padded batches with a mask."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from reranker.engines.cores import cores
from reranker.engines.ort.classifier import Classifier
from reranker.telemetry import onnx_runtime
from reranker.tokenizer import ModelTokenizer
from reranker.tokens import TokenRows

__all__ = ["PaddedEngine"]

_BATCH_TOKENS = 4096
_QUIET = 3


class PaddedEngine:
    """Runs a graph of :func:`~reranker.engines.ort.standard.write_standard`.

    Args:
        graph: the file's bytes.
        spec: the model's sizes.
        tokenizer: what batches must know of the tokeniser.

    """

    lanes = devices = 1

    def __init__(self, graph: bytes, spec: Classifier, tokenizer: ModelTokenizer) -> None:
        onnxruntime = onnx_runtime()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = cores()
        options.log_severity_level = _QUIET
        self._session: Any = onnxruntime.InferenceSession(
            graph, options, providers=["CPUExecutionProvider"]
        )
        self._names = {given.name for given in self._session.get_inputs()}
        self._tokenizer = tokenizer
        self.labels, self.words, self.positions = spec.labels, spec.words, spec.positions
        self.token_budget = _BATCH_TOKENS

    def logits(self, batch: TokenRows) -> NDArray[np.float32]:
        """Return (n, labels) float32: the model's raw output for each row, in order."""
        ids, types, mask = batch.padded(self._tokenizer.pad_id, left=self._tokenizer.pads_left)
        columns = {"input_ids": ids, "token_type_ids": types, "attention_mask": mask}
        given = {name: column for name, column in columns.items() if name in self._names}
        logits: NDArray[np.float32] = self._session.run(None, given)[0]
        return logits
