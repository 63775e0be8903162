"""Any transformers model in torch: padded batches, on a CPU or a GPU."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from twopass.reranker.contract.errors import ModelError
from twopass.reranker.files.weights import max_positions, vocabulary_size
from twopass.reranker.text.tokenizer import ModelTokenizer
from twopass.reranker.text.tokens import TokenRows

if TYPE_CHECKING:
    import torch
    from torch import nn

__all__ = [
    "CPU_BUDGET",
    "GPU_BUDGET",
    "Precision",
    "TorchEngine",
    "choose_device",
    "device_lanes",
    "device_token_budget",
    "memory_errors",
    "model_inputs",
    "padded_width",
    "to_device",
    "torch_dtype",
]

Precision = Literal["fp32", "bf16", "fp16"]

CPU_BUDGET = 4096  # beyond this the activations leave the caches and nothing gets faster
GPU_BUDGET = 65536
_FEW = 16  # a batch's width is a multiple of it where few are best


def choose_device(device: str | None) -> torch.device:
    """Return the device of that name, or the best one available.

    Raises:
        ModelError: when the device is unknown or not there.

    """
    import torch

    if device is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(device)
        torch.empty(1, device=chosen)
    except (RuntimeError, AssertionError) as error:
        raise ModelError(
            f"expected a device that torch can use here, such as 'cpu', found {device!r}"
        ) from error
    return chosen


def device_token_budget(device: torch.device) -> int:
    """Return the best size of a batch on a device, in padded tokens."""
    return CPU_BUDGET if device.type == "cpu" else GPU_BUDGET


def device_lanes(device: torch.device) -> int:
    """Return the best number of batches in flight on a device.

    A GPU works asynchronously: meanwhile another thread prepares the next batch and starts it.
    """
    return 1 if device.type == "cpu" else 2


def padded_width(
    batch: TokenRows, device: torch.device, precision: Precision, max_positions: int | None
) -> int:
    """Return the width that a batch's rows are best padded to.

    On a CPU, oneDNN writes the code of a product in 16 bits again for every size of a batch, which
    takes milliseconds each: so few widths are best there.
    """
    longest = int(batch.lengths.max(initial=0))
    if device.type != "cpu" or precision == "fp32":
        return longest
    return min(-(-longest // _FEW) * _FEW, max_positions or longest + _FEW)


def model_inputs(
    batch: TokenRows,
    tokenizer: ModelTokenizer,
    device: torch.device,
    precision: Precision,
    max_positions: int | None,
    *,
    left: bool = False,
) -> dict[str, torch.Tensor]:
    """Return what a model of transformers is called with for a batch, on its device.

    Args:
        batch: the rows.
        tokenizer: the model's.
        device: the model's.
        precision: of the products.
        max_positions: how many tokens a row may have; None where that is not limited.
        left: pad before a row's tokens.

    """
    width = padded_width(batch, device, precision, max_positions)
    ids, types, mask = batch.padded(tokenizer.pad_id, left=left, width=width)
    inputs = {"input_ids": ids, "attention_mask": mask}
    if tokenizer.typed:
        inputs["token_type_ids"] = types
    return {name: to_device(values, device) for name, values in inputs.items()}


def to_device(values: NDArray[Any], device: torch.device) -> torch.Tensor:
    """Return an array as a tensor on a device; a GPU copies it while the caller goes on."""
    import torch

    tensor = torch.from_numpy(values)
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor


def torch_dtype(precision: Precision) -> torch.dtype:
    """Return torch's name of a precision.

    Raises:
        ModelError: when it is unknown.

    """
    import torch

    known = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
    if precision not in known:
        raise ModelError(f"expected a precision of {', '.join(known)}, found {precision!r}")
    return known[precision]


@contextmanager
def memory_errors() -> Iterator[None]:
    """Raise MemoryError where torch finds no memory, on whichever device."""
    import torch

    try:
        yield
    except torch.OutOfMemoryError as error:
        raise MemoryError(str(error)) from error
    except RuntimeError as error:
        if "can't allocate memory" not in str(error):
            raise
        raise MemoryError(str(error)) from error


class TorchEngine:
    """Runs a model of transformers as it is, on batches padded to their longest row.

    Args:
        model: the classifier, in evaluation mode; it is moved and converted.
        tokenizer: its tokeniser.
        device: where it runs.
        precision: of weights and activations; the logits are float32 in any case.

    Raises:
        ModelError: when the precision is unknown.

    """

    devices = 1

    def __init__(
        self,
        model: nn.Module,
        tokenizer: ModelTokenizer,
        *,
        device: torch.device,
        precision: Precision = "fp32",
    ) -> None:
        self._model = model.to(device=device, dtype=torch_dtype(precision))
        self._tokenizer = tokenizer
        self._device = device
        self._precision = precision
        config: Any = model.config
        self.labels = int(config.num_labels)
        self.vocabulary_size, self.max_positions = vocabulary_size(model), max_positions(model)
        self.token_budget, self.lanes = device_token_budget(device), device_lanes(device)

    def logits(self, batch: TokenRows) -> NDArray[np.float32]:
        """Return (n, labels) float32: the model's raw output for each row, in order.

        Raises:
            MemoryError: when the device has no room for the batch.

        """
        import torch

        with torch.inference_mode(), memory_errors():
            inputs = model_inputs(
                batch,
                self._tokenizer,
                self._device,
                self._precision,
                self.max_positions,
                left=self._tokenizer.pads_left,
            )
            output: NDArray[np.float32] = self._model(**inputs).logits.float().cpu().numpy()
        return output
