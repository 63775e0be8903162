"""Models of known families in torch without padding: a batch's tokens as the rows of one matrix.

Three things make it faster than the model's own forward pass, at equal scores. Linear layers, norms
and activations work on one (tokens, hidden) matrix that has no padding; how attention keeps to the
rows depends on the device, see :mod:`twopass.reranker.engines.torch.attention`. Query, key and
value are one product. And the last layer is computed for the first token of each row only, which is
all that the head reads: of a model of two layers that is nearly half of the work.

On a CPU a batch is cut into parts whose activations stay in a core's cache, each thread takes one
after the other, and none waits for another before the batch's end. On a GPU a small batch takes
less time than starting its hundred kernels one by one; ``graphs`` starts them as one, see
:mod:`twopass.reranker.engines.torch.cuda_graphs`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from twopass.reranker.architectures import model_architecture
from twopass.reranker.architectures.family import Activation, Architecture, Embeddings, Layer
from twopass.reranker.contract.errors import ModelError
from twopass.reranker.engines.torch.attention import (
    Attention,
    Padded,
    PaddedPositions,
    Rectangle,
    Varlen,
)
from twopass.reranker.engines.torch.cpu_parts import (
    Part,
    SingleThreadPool,
    parts_token_budget,
    split_batch,
)
from twopass.reranker.engines.torch.cuda_graphs import (
    MAX_GRAPH_TOKENS,
    Graphs,
    pad_to_recorded_size,
    padded_columns,
)
from twopass.reranker.engines.torch.engine import (
    Precision,
    device_lanes,
    device_token_budget,
    memory_errors,
    to_device,
    torch_dtype,
)
from twopass.reranker.text.tokens import TokenRows

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

__all__ = ["PackedBatch", "PackedEngine", "PackedModel"]


class PackedModel:
    """A classifier's modules by the names that its architecture has for them.

    Args:
        model: the classifier, in evaluation mode; its weights are shared, but for projections and
            frames, which are copied.
        architecture: its names and sizes.

    """

    def __init__(self, model: nn.Module, architecture: Architecture) -> None:
        import torch
        from torch.nn import functional

        self.module: Mapping[str, Any] = dict(model.named_modules())
        self.heads = architecture.heads
        self.activations: Mapping[Activation, Callable[[Tensor], Tensor]] = {
            "gelu": functional.gelu,
            "relu": functional.relu,
            "tanh": torch.tanh,
        }
        with torch.no_grad():
            self.frames = self._frames(architecture.embeddings)
            self.projections = {layer: self._projection(layer) for layer in architecture.layers}

    def _frames(self, names: Embeddings) -> Tensor:
        """Return (types x positions, hidden): the sum of each type's and position's embedding."""
        positions: Tensor = self.module[names.positions].weight
        if names.types is None:
            return positions
        summed: Tensor = (self.module[names.types].weight[:, None] + positions).flatten(0, 1)
        return summed

    def _projection(self, layer: Layer) -> tuple[Tensor, Tensor]:
        """Return weight and bias of query, key and value as one product."""
        import torch

        parts = [self.module[name] for name in (layer.query, layer.key, layer.value)]
        return torch.cat([p.weight for p in parts]), torch.cat([p.bias for p in parts])


class PackedBatch:
    """Runs a model's steps on one batch: an ``Operations`` of tensors without padding.

    Args:
        model: the classifier.
        ids: (t,) int64: the tokens.
        frames: (t,) int64: each token's type and position in one number.
        attention: within the batch's rows.

    """

    def __init__(
        self, model: PackedModel, ids: Tensor, frames: Tensor, attention: Attention
    ) -> None:
        self._model, self._module = model, model.module
        self._ids, self._frames = ids, frames
        self._attention = attention

    def embed(self, names: Embeddings) -> Tensor:
        """Return (t, hidden): the sum of each token's embeddings, normalised."""
        summed = self._module[names.words](self._ids)
        summed += self._model.frames[self._frames]
        normalised: Tensor = self._module[names.norm](summed)
        return normalised

    def attend(self, tokens: Tensor, layer: Layer) -> Tensor:
        """Return what every token draws from its row, (t, hidden)."""
        from torch.nn.functional import linear

        product = linear(tokens, *self._model.projections[layer])
        return self._attention.of_all(product.view(len(tokens), 3, self._model.heads, -1))

    def first(self, tokens: Tensor) -> Tensor:
        """Return the first token of each row, (n, hidden)."""
        return tokens[self._attention.starts]

    def attend_first(self, first: Tensor, tokens: Tensor, layer: Layer) -> Tensor:
        """Return what each row's first token draws from its row, (n, hidden).

        With one query a row and head, keys and values of all tokens need not be computed: a head's
        score of a token x is q (K x) = (q K) x, and what it draws is the sum of p V x = V (sum of
        p x), p summing to one. A key's bias adds the same to all of a row's scores, so to none.
        """
        import torch

        heads, size = self._model.heads, tokens.shape[1]
        width, value = size // heads, self._module[layer.value]
        query = self._module[layer.query](first).view(-1, heads, width).transpose(0, 1)
        keys = self._module[layer.key].weight.view(heads, width, size)
        queries = torch.bmm(query, keys).transpose(0, 1)  # (n, heads, hidden)
        mixed = self._attention.of_first(queries, tokens, width**-0.5).transpose(0, 1)
        values = value.weight.view(heads, width, size).transpose(1, 2)
        context = torch.bmm(mixed, values).transpose(0, 1).reshape(-1, size)
        summed: Tensor = context + value.bias
        return summed

    def dense(self, tokens: Tensor, name: str, activation: Activation) -> Tensor:
        """Return the activation of a product."""
        return self._model.activations[activation](self._module[name](tokens))

    def add_norm(self, residual: Tensor, inner: Tensor, dense: str, norm: str) -> Tensor:
        """Return the norm of the residual and a product; the residual is overwritten."""
        product = self._module[dense]
        residual.addmm_(inner, product.weight.t()).add_(product.bias)
        normalised: Tensor = self._module[norm](residual)
        return normalised

    def rows(self, first: Tensor) -> Tensor:
        """Return the first tokens, which are a matrix."""
        return first

    def project(self, rows: Tensor, name: str, activation: Activation | None = None) -> Tensor:
        """Return a product with a matrix of one token a row."""
        product: Tensor = self._module[name](rows)
        return product if activation is None else self._model.activations[activation](product)


class PackedEngine:
    """Runs a model of a known family over batches without padding.

    Args:
        model: a classifier that it :meth:`takes`, in evaluation mode; it is moved and converted.
        typed: whether the tokenizer gives token types.
        device: where it runs.
        precision: of weights and activations; the logits are float32 in any case.
        attention: how it is computed; by default what suits the device, on a CPU by rectangles of
            rows of about one length.
        graphs: whether a GPU starts small batches as CUDA graphs.

    Raises:
        ModelError: when the precision is unknown, or the engine does not take the model.

    """

    devices = 1

    def __init__(
        self,
        model: nn.Module,
        *,
        typed: bool,
        device: torch.device,
        precision: Precision = "fp32",
        attention: type[Padded] | None = None,
        graphs: bool = False,
    ) -> None:
        import torch

        architecture = model_architecture(model)
        if architecture is None:
            raise ModelError(f"expected a model of a known family, found {type(model).__name__}")
        self._architecture = architecture
        dtype = torch_dtype(precision)
        self._model = PackedModel(model.to(device=device, dtype=dtype), architecture)
        self._typed = typed
        self._device = device
        self._attention: type[Padded] | None = attention or _suiting(device, dtype, architecture)
        self._graphs = Graphs(self._run_on, device) if graphs and device.type == "cuda" else None
        self.labels = architecture.labels
        self.vocabulary_size, self.max_positions = (
            architecture.vocabulary_size,
            architecture.max_tokens,
        )
        self.lanes = device_lanes(device)
        self._width = architecture.hidden
        self._pool = SingleThreadPool(torch.get_num_threads())
        self.token_budget = (
            device_token_budget(device)
            if self._attention
            else parts_token_budget(self._width, self._pool.number)
        )

    @staticmethod
    def takes(model: nn.Module) -> bool:
        """Say whether this engine knows how the model computes."""
        return model_architecture(model) is not None

    def logits(self, batch: TokenRows) -> NDArray[np.float32]:
        """Return (n, labels) float32: the model's raw output for each row, in order.

        Raises:
            MemoryError: when the device has no room for the batch.

        """
        import torch

        if self._attention is None:
            return self._by_parts(batch)
        with torch.inference_mode(), memory_errors():
            return _fetched(self._at_once(batch))

    def _by_parts(self, batch: TokenRows) -> NDArray[np.float32]:
        """Return (n, labels), by threads that each take one part of the batch after the other."""
        import torch

        output = np.empty((len(batch), self.labels), dtype=np.float32)

        def run(part: Part) -> None:
            ids, frames = (
                torch.from_numpy(part.spread(values))
                for values in self._read(batch.take(part.rows))
            )
            with torch.inference_mode(), memory_errors():
                logits = self._forward(ids, frames, Rectangle(part))
                output[part.rows] = _fetched(logits)[: len(part.rows)]

        self._pool.run(run, split_batch(batch.lengths, self._width, self._pool.number))
        return output

    def _at_once(self, batch: TokenRows) -> Tensor:
        """Return (n, labels), on the device, where it may not be there yet."""
        if self._graphs is None or len(batch.ids) > MAX_GRAPH_TOKENS:
            positions = PaddedPositions.of(batch, self._device, int(batch.lengths.max(initial=1)))
            return self._run_on(*self._moved(batch), *positions.tensors)
        more = pad_to_recorded_size(batch)
        positions = PaddedPositions.of(more, self._device, padded_columns(more))
        return self._graphs(*self._moved(more), *positions.tensors)[: len(batch)]

    def _run_on(self, ids: Tensor, frames: Tensor, *positions: Tensor) -> Tensor:
        """Return (n, labels), as a function of tensors, whose shapes decide what is done."""
        return self._forward(ids, frames, (self._attention or Padded)(PaddedPositions(*positions)))

    def _forward(self, ids: Tensor, frames: Tensor, attention: Attention) -> Tensor:
        """Return (n, labels) for tokens and their frames, (t,) each."""
        return self._architecture.run(PackedBatch(self._model, ids, frames, attention))

    def _read(self, batch: TokenRows) -> tuple[NDArray[Any], NDArray[np.int64]]:
        """Return each token's id, and its type and position in one number."""
        types = batch.types if self._typed else None
        return batch.ids, self._architecture.frames(batch.ids, batch.offsets, types)

    def _moved(self, batch: TokenRows) -> tuple[Tensor, Tensor]:
        """Return what is read of a batch on the device."""
        ids, frames = self._read(batch)
        return to_device(ids, self._device), to_device(frames, self._device)


def _fetched(logits: Tensor) -> NDArray[np.float32]:
    found: NDArray[np.float32] = logits.float().cpu().numpy()
    return found


def _suiting(
    device: torch.device, dtype: torch.dtype, architecture: Architecture
) -> type[Padded] | None:
    """Return how attention is computed best on a device; None for rectangles, which a CPU likes."""
    if device.type == "cpu":
        return None
    width = architecture.hidden // architecture.heads
    return Varlen if Varlen.works(device, dtype, architecture.heads, width) else Padded
