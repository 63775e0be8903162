"""The model that is trained: its parts, how its logits are made, and how it is saved."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from twopass.reranker.architectures import first_token_only
from twopass.reranker.contract.inputs import check_pairs
from twopass.reranker.engines.engine import BatchRunner, plan_batches
from twopass.reranker.engines.torch.engine import Precision, TorchEngine, model_inputs
from twopass.reranker.text.encoding import PairEncoder
from twopass.reranker.text.tokenizer import ModelTokenizer
from twopass.reranker.text.tokens import TokenRows
from twopass.reranker.training.recipe import Recipe

if TYPE_CHECKING:
    import torch
    from torch import Tensor

__all__ = ["Subject"]

# Of how a tokeniser was loaded, and how others once cut and filled with it.
_LEFTOVERS = (
    "is_local", "local_files_only", "max_length", "never_split", "pad_to_multiple_of",
    "pad_token_type_id", "stride", "truncation_strategy",
)  # fmt: skip
_NEAR = 2048  # padded tokens that a CPU takes at one time: less padding, and nearer to its caches

_ACTIVATIONS = {
    "logit": "torch.nn.modules.linear.Identity",
    "sigmoid": "torch.nn.modules.activation.Sigmoid",
}


@dataclass(frozen=True, slots=True, eq=False)
class Subject:
    """A cross-encoder in training; a ``PairScorer`` with the weights that it has at the moment.

    Attributes:
        model: a sequence classifier of transformers with one label.
        tokenizer: transformers' own object, to be saved beside it.
        reading: what batches must know of the tokeniser.
        encoder: pairs -> token ids.
        device: where the model is.
        name: what the weights come from.

    """

    model: Any
    tokenizer: Any
    reading: ModelTokenizer
    encoder: PairEncoder
    device: torch.device
    name: str

    def forward(self, rows: TokenRows, precision: Precision) -> Tensor:
        """Return the logit of each row, (n,) float32, with what its gradient needs."""
        import torch

        if self.device.type != "cpu":
            return self._forward(rows, precision)
        parts = plan_batches(rows.lengths, _NEAR)
        logits = torch.cat([self._forward(rows.take(part), precision) for part in parts])
        return logits[torch.from_numpy(np.argsort(np.concatenate(parts)))]

    def _forward(self, rows: TokenRows, precision: Precision) -> Tensor:
        """Return the logits of rows that are filled up to the longest."""
        inputs = model_inputs(
            rows,
            self.reading,
            self.device,
            precision,
            self.encoder.max_length,
            left=self.reading.pads_left,
        )
        with self._autocast(precision), first_token_only(self.model):
            logits: Tensor = self.model(**inputs).logits
        return logits.float()[:, 0]

    def _autocast(self, precision: Precision) -> AbstractContextManager[Any]:
        import torch

        if precision == "fp32":
            return nullcontext()
        return torch.autocast(self.device.type, torch.bfloat16)

    def predict(self, pairs: Sequence[tuple[str, str]]) -> NDArray[np.float32]:
        """Return the logit of each pair, (n,) float32, without dropout."""
        training = self.model.training
        self.model.eval()
        engine = TorchEngine(self.model, self.reading, device=self.device)
        encoded = self.encoder.encode(check_pairs(pairs))
        logits: NDArray[np.float32] = BatchRunner(engine).run(encoded.rows)[encoded.row_of, 0]
        self.model.train(training)
        return logits

    def save(self, folder: Path, recipe: Recipe, *, half: bool = True) -> None:
        """Write a folder that transformers, sentence-transformers and this package load.

        Args:
            folder: made where it is missing.
            recipe: says what the score is and how long a pair may be.
            half: store the weights as fp16; they are run as fp32.

        """
        import copy

        model = copy.deepcopy(self.model).cpu().float()
        config = model.config
        config.id2label, config.label2id = {0: "relevance"}, {"relevance": 0}
        config.sentence_transformers = {
            "version": "5.0.0",
            "activation_fn": _ACTIVATIONS[recipe.output],
        }
        if half:
            model.half()
        model.save_pretrained(folder)
        _edit(folder / "config.json", dtype="float32")
        tokenizer = copy.deepcopy(self.tokenizer)
        tokenizer.backend_tokenizer.no_truncation()
        tokenizer.backend_tokenizer.no_padding()
        tokenizer.model_max_length = self.encoder.max_length
        for name in _LEFTOVERS:
            tokenizer.init_kwargs.pop(name, None)
        tokenizer.save_pretrained(folder)
        (folder / "model.safetensors").chmod(0o644)


def _edit(path: Path, **changes: Any) -> None:
    entries = json.loads(path.read_text(encoding="utf-8")) | changes
    path.write_text(json.dumps(entries, indent=2) + "\n", encoding="utf-8")
