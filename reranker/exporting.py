"""Models as ONNX files for other software: optimum, sentence-transformers, TEI, transformers.js.

The files have names that these look for: ``onnx/model.onnx`` and ``onnx/model_int8.onnx``, beside
the configuration and the tokeniser.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from reranker.base import ModelError
from reranker.batches import BatchRunner
from reranker.encoding import PairEncoder
from reranker.engines.ort.classifier import Classifier
from reranker.engines.ort.padded import PaddedEngine
from reranker.engines.ort.standard import write_standard
from reranker.engines.weights import Weights
from reranker.folder import ModelFolder
from reranker.inputs import check_pairs
from reranker.sources import locate
from reranker.tokenizer import ModelTokenizer

__all__ = ["EXPORTED", "Exporter", "Written"]

EXPORTED = {"fp32": "onnx/model.onnx", "int8": "onnx/model_int8.onnx"}
_BESIDE = ("*.json", "*.txt", "*.model", "README.md", "LICENSE*")
_OF_WEIGHTS = "model.safetensors.index.json"
_Precision: TypeAlias = Literal["fp32", "int8"]


class Exporter:
    """Writes ONNX files of a cross-encoder of BERT's kind.

    Args:
        name_or_path: one that ships with this package, a folder, or a name on the hub.

    Raises:
        ModelError: when the model cannot be had, or is of another kind.

    """

    def __init__(self, name_or_path: str | PathLike[str]) -> None:
        self._folder = ModelFolder.read(locate(name_or_path))
        spec = Classifier.of(self._folder.config)
        if spec is None:
            raise ModelError(
                "expected a model of BERT's kind (bert, electra, roberta, xlm-roberta) to export, "
                f"found {self._folder.config.get('model_type')!r}; optimum exports it: "
                "optimum-cli export onnx --task text-classification"
            )
        self._spec, self._tokenizer = spec, ModelTokenizer.load(self._folder.path)

    @property
    def folder(self) -> Path:
        """Where the model is."""
        return self._folder.path

    def written(self, precision: _Precision, encoder: PairEncoder) -> Written:
        """Return a file, and what scores by it.

        Args:
            precision: of the layers' products; "int8" is smaller and faster, and not the same.
            encoder: what the model reads pairs by.

        Raises:
            ModelError: when weights are missing, no numbers or too many for a file.

        """
        with Weights(self._folder) as weights:
            weights.check(self._spec.shapes())
            graph = write_standard(self._spec, weights, int8=precision == "int8")
        return Written(graph, PaddedEngine(graph, self._spec, self._tokenizer), encoder)

    def copy_beside(self, target: Path) -> None:
        """Copy what the files need beside them, and the card, to a folder."""
        for path in {path for name in _BESIDE for path in self.folder.glob(name)}:
            if path.name != _OF_WEIGHTS:
                shutil.copyfile(path, target / path.name)


class Written:
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
