"""Models as ONNX files for other software, checked with ONNX Runtime in padded batches.

The files have names that these look for: ``onnx/model.onnx`` and ``onnx/model_int8.onnx``, beside
the configuration and the tokeniser.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from twopass.reranker.architectures import architecture_of, known_types
from twopass.reranker.architectures.family import Architecture
from twopass.reranker.contract.errors import ModelError
from twopass.reranker.contract.inputs import check_pairs
from twopass.reranker.engines.engine import BatchRunner
from twopass.reranker.engines.hardware import cores
from twopass.reranker.engines.onnx.standard_graph import write_standard
from twopass.reranker.files.model_folder import ModelFolder, locate_model
from twopass.reranker.files.weights import Weights
from twopass.reranker.telemetry import onnx_runtime
from twopass.reranker.text.encoding import PairEncoder
from twopass.reranker.text.tokenizer import ModelTokenizer
from twopass.reranker.text.tokens import TokenRows

__all__ = [
    "FILES_BY_PRECISION",
    "ExportedFile",
    "Exporter",
    "PaddedEngine",
]


_BATCH_TOKENS = 4096
_QUIET = 3


class PaddedEngine:
    """Runs a graph of :func:`~twopass.reranker.engines.onnx.standard_graph.write_standard`.

    Args:
        graph: the file's bytes.
        architecture: the model's sizes.
        tokenizer: what batches must know of the tokeniser.

    """

    lanes = devices = 1

    def __init__(self, graph: bytes, architecture: Architecture, tokenizer: ModelTokenizer) -> None:
        onnxruntime = onnx_runtime()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = cores()
        options.log_severity_level = _QUIET
        self._session: Any = onnxruntime.InferenceSession(
            graph, options, providers=["CPUExecutionProvider"]
        )
        self._names = {given.name for given in self._session.get_inputs()}
        self._tokenizer = tokenizer
        self.labels, self.vocabulary_size, self.max_positions = (
            architecture.labels,
            architecture.vocabulary_size,
            architecture.max_tokens,
        )
        self.token_budget = _BATCH_TOKENS

    def logits(self, batch: TokenRows) -> NDArray[np.float32]:
        """Return (n, labels) float32: the model's raw output for each row, in order."""
        ids, types, mask = batch.padded(self._tokenizer.pad_id, left=self._tokenizer.pads_left)
        columns = {"input_ids": ids, "token_type_ids": types, "attention_mask": mask}
        given = {name: column for name, column in columns.items() if name in self._names}
        logits: NDArray[np.float32] = self._session.run(None, given)[0]
        return logits


FILES_BY_PRECISION = {"fp32": "onnx/model.onnx", "int8": "onnx/model_int8.onnx"}
_BESIDE = ("*.json", "*.txt", "*.model", "README.md", "LICENSE*")
_OF_WEIGHTS = "model.safetensors.index.json"
_Precision: TypeAlias = Literal["fp32", "int8"]


class Exporter:
    """Writes ONNX files of a cross-encoder of a known family.

    Args:
        name_or_path: one that ships with this package, a folder, or a name on the hub.

    Raises:
        ModelError: when the model cannot be had, or is of another family.

    """

    def __init__(self, name_or_path: str | PathLike[str]) -> None:
        self._folder = ModelFolder.read(locate_model(name_or_path))
        architecture = architecture_of(self._folder.config)
        if architecture is None:
            raise ModelError(
                f"expected a model of a known family ({known_types()}) to export, "
                f"found {self._folder.config.get('model_type')!r}; optimum exports it: "
                "optimum-cli export onnx --task text-classification"
            )
        self._architecture, self._tokenizer = architecture, ModelTokenizer.load(self._folder.path)

    @property
    def folder(self) -> Path:
        """Where the model is."""
        return self._folder.path

    def written(self, precision: _Precision, encoder: PairEncoder) -> ExportedFile:
        """Return a file, and what scores by it.

        Args:
            precision: of the layers' products; "int8" is smaller and faster, and not the same.
            encoder: what the model reads pairs by.

        Raises:
            ModelError: when weights are missing, no numbers or too many for a file.

        """
        with Weights(self._folder) as weights:
            weights.check(self._architecture.shapes())
            graph = write_standard(self._architecture, weights, int8=precision == "int8")
        return ExportedFile(
            graph, PaddedEngine(graph, self._architecture, self._tokenizer), encoder
        )

    def copy_beside(self, target: Path) -> None:
        """Copy what the files need beside them, and the card, to a folder."""
        for path in {path for name in _BESIDE for path in self.folder.glob(name)}:
            if path.name != _OF_WEIGHTS:
                shutil.copyfile(path, target / path.name)


class ExportedFile:
    """A file that was written; a ``PairScorer`` of logits by it.

    Attributes:
        graph: the file's bytes.

    """

    def __init__(self, graph: bytes, engine: PaddedEngine, encoder: PairEncoder) -> None:
        self.graph = graph
        self._runner, self._encoder = BatchRunner(engine), encoder

    def predict(self, pairs: Sequence[tuple[str, str]]) -> NDArray[np.float32]:
        """Return the first logit of each pair, (n,) float32."""
        encoded = self._encoder.encode(check_pairs(pairs))
        logits: NDArray[np.float32] = self._runner.run(encoded.rows)[encoded.row_of, 0]
        return logits
