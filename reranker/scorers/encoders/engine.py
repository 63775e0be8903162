"""Batches of token ids -> embeddings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from twopass.reranker.console import quiet_transformers
from twopass.reranker.contract.errors import ModelError
from twopass.reranker.engines.torch.engine import (
    Precision,
    device_lanes,
    device_token_budget,
    memory_errors,
    model_inputs,
    torch_dtype,
)
from twopass.reranker.files.model_folder import ModelFolder
from twopass.reranker.scorers.encoders.layout import Pooling
from twopass.reranker.text.tokenizer import ModelTokenizer
from twopass.reranker.text.tokens import TokenRows

if TYPE_CHECKING:
    import torch

__all__ = ["EmbeddingEngine"]


class EmbeddingEngine:
    """Runs an encoder of transformers: an ``Engine`` whose scores are embeddings.

    Args:
        folder: the encoder's.
        tokenizer: its tokeniser.
        pooling: how the tokens' vectors become one.
        normalized: whether embeddings have length 1.
        device: where it runs.
        precision: of weights and activations; embeddings are float32 in any case.

    Attributes:
        labels: how many dimensions an embedding has.
        vocabulary_size: how many tokens the model knows.
        max_positions: how many tokens a row may have, where that is limited.

    Raises:
        ModelError: when the model cannot be loaded.

    """

    devices = 1

    def __init__(
        self,
        folder: ModelFolder,
        tokenizer: ModelTokenizer,
        *,
        pooling: Pooling,
        normalized: bool,
        device: torch.device,
        precision: Precision = "fp32",
    ) -> None:
        from twopass.reranker.files.weights import max_positions, vocabulary_size

        model = _load(folder)
        self.max_positions = max_positions(model)
        self.vocabulary_size = vocabulary_size(model)
        self._model = model.to(device=device, dtype=torch_dtype(precision))
        self._tokenizer = tokenizer
        self._pooling = pooling
        self._normalized = normalized
        self._device = device
        self._precision = precision
        self.labels = int(model.config.hidden_size)
        self.token_budget, self.lanes = device_token_budget(device), device_lanes(device)

    def logits(self, batch: TokenRows) -> NDArray[np.float32]:
        """Return (n, dimensions) float32: the embedding of each row, in order.

        Raises:
            MemoryError: when the device has no room for the batch.

        """
        import torch

        with torch.inference_mode(), memory_errors():
            inputs = model_inputs(
                batch, self._tokenizer, self._device, self._precision, self.max_positions
            )
            hidden = self._model(**inputs).last_hidden_state.float()
            pooled = self._pooled(hidden, inputs["attention_mask"])
            if self._normalized:
                pooled = torch.nn.functional.normalize(pooled, dim=1)
            output: NDArray[np.float32] = pooled.cpu().numpy()
        return output

    def _pooled(self, hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        import torch

        if self._pooling == "cls":
            return hidden[:, 0]
        lengths = mask.sum(1)
        if self._pooling == "last":
            return hidden[torch.arange(len(hidden), device=hidden.device), lengths - 1]
        real = mask.unsqueeze(2).bool()
        if self._pooling == "max":
            return hidden.masked_fill(~real, -torch.inf).amax(1)
        return hidden.masked_fill(~real, 0.0).sum(1) / lengths.unsqueeze(1)


def _load(folder: ModelFolder) -> Any:
    from transformers import AutoModel

    try:
        with quiet_transformers():
            model: Any = AutoModel.from_pretrained(
                str(folder.path), local_files_only=True, use_safetensors=True
            )
    except Exception as error:
        raise ModelError(
            f"expected an encoder in {str(folder.path)!r}, could not load it: "
            f"{type(error).__name__}: {str(error).strip().splitlines()[0]:.200}"
        ) from error
    return model.float().eval()
