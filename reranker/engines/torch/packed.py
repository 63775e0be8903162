"""Models of BERT's kind in torch without padding: all tokens of a batch as the rows of one matrix.

Three things make it faster than the model's own forward pass, at equal scores. Linear layers, norms
and activations work on one (tokens, hidden) matrix that has no padding; how attention keeps to the
rows depends on the device, see :mod:`twopass.reranker.engines.torch.attention`. Query, key and
value are one
product. And the last layer is computed for the first token of each row only, which is all that the
head reads: of a model of two layers that is nearly half of the work.

On a CPU a batch is cut into parts whose activations stay in a core's cache, each thread takes one
after the other, and none waits for another before the batch's end. On a GPU a small batch takes
less time than to start its hundred kernels one by one; ``graphs`` starts them as one, see
:mod:`twopass.reranker.engines.torch.cuda_graphs`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from twopass.reranker.architectures.bert import places as places_of
from twopass.reranker.engines.torch.attention import Attention, Padded, Places, Rectangle, Varlen
from twopass.reranker.engines.torch.cuda_graphs import LARGEST, Graphs, columns_of, filled
from twopass.reranker.engines.torch.engine import (
    Precision,
    budget_of,
    lanes_of,
    memory_errors,
    moved,
    torch_dtype,
)
from twopass.reranker.engines.torch.parts import Part, budget_of_parts, cut
from twopass.reranker.engines.torch.single_thread_pool import SoloThreads
from twopass.reranker.files.weights import positions, words
from twopass.reranker.text.tokens import TokenRows

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

__all__ = [
    "PackedEngine",
    "PackedLayer",
]


class PackedLayer:
    """A layer of transformers' BERT, ELECTRA or RoBERTa.

    Args:
        layer: the layer, in evaluation mode; its weights are shared but for the projections.
        heads: its attention heads.

    """

    def __init__(self, layer: Any, heads: int) -> None:
        import torch

        self._layer = layer
        self._heads = heads
        own = layer.attention.self
        self._query, self._key, self._value = own.query, own.key, own.value
        parts = (own.query, own.key, own.value)
        with torch.no_grad():
            self._weight = torch.cat([part.weight for part in parts])
            self._bias = torch.cat([part.bias for part in parts])

    def all_tokens(self, hidden: Tensor, attention: Attention) -> Tensor:
        """Return the layer's output for all tokens, (t, hidden); the input is overwritten."""
        from torch.nn.functional import linear

        product = linear(hidden, self._weight, self._bias).view(len(hidden), 3, self._heads, -1)
        return self._after(hidden, attention.of_all(product))

    def first_tokens(self, hidden: Tensor, attention: Attention) -> Tensor:
        """Return the layer's output for the first token of each row, (n, hidden).

        With one query a row and head, keys and values of all tokens need not be computed: a head's
        score of a token x is q (K x) = (q K) x, and what it draws is the sum of p V x = V (sum of
        p x), p summing to one. A key's bias adds the same to all of a row's scores, so to none.
        """
        import torch

        first, size = hidden[attention.starts], hidden.shape[1]
        width = size // self._heads
        query = self._query(first).view(-1, self._heads, width).transpose(0, 1)
        key = self._key.weight.view(self._heads, width, size)
        asked = torch.bmm(query, key).transpose(0, 1)  # (n, heads, hidden)
        mixed = attention.of_first(asked, hidden, width**-0.5).transpose(0, 1)  # (heads, n, hidden)
        value = self._value.weight.view(self._heads, width, size).transpose(1, 2)
        context = torch.bmm(mixed, value).transpose(0, 1).reshape(-1, size)
        return self._after(first, context + self._value.bias)

    def _after(self, hidden: Tensor, context: Tensor) -> Tensor:
        """Return the layer's output for tokens, given what they drew by attention."""
        attention, output = self._layer.attention.output, self._layer.output
        attended = _added(attention, hidden, context)
        return _added(output, attended, self._layer.intermediate(attended))


def _added(output: Any, residual: Tensor, inner: Tensor) -> Tensor:
    """Return the norm of the residual and the dense product; the residual is overwritten."""
    residual.addmm_(inner, output.dense.weight.t()).add_(output.dense.bias)
    normalised: Tensor = output.LayerNorm(residual)
    return normalised


# the attribute that holds the encoder, by the name of the classifier's class
_ENCODERS = {
    "BertForSequenceClassification": "bert",
    "ElectraForSequenceClassification": "electra",
    "RobertaForSequenceClassification": "roberta",
    "XLMRobertaForSequenceClassification": "roberta",
}


class PackedEngine:
    """Runs a model of BERT's kind over batches without padding.

    Args:
        model: a classifier that :meth:`suits`, in evaluation mode; it is moved and converted.
        typed: whether the model reads segment numbers.
        device: where it runs.
        precision: of weights and activations; the logits are float32 in any case.
        attention: how it is computed; by default what suits the device, on a CPU by rectangles of
            rows of about one length.
        graphs: whether a GPU is to start small batches as CUDA graphs.

    Raises:
        ModelError: when the precision is unknown.

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

        classifier: Any = model.to(device=device, dtype=torch_dtype(precision))
        self._model = classifier
        self._encoder = getattr(classifier, _ENCODERS[type(model).__name__])
        heads = int(classifier.config.num_attention_heads)
        self._layers = [PackedLayer(layer, heads) for layer in self._encoder.encoder.layer]
        self._frames = _frames(self._encoder.embeddings)
        self._typed = typed
        self._device = device
        self._attention: type[Padded] | None = attention or _suiting(device, classifier)
        self._graphs = Graphs(self._placed, device) if graphs and device.type == "cuda" else None
        self.labels = int(classifier.config.num_labels)
        self.words, self.positions = words(model), positions(model)
        self.lanes = lanes_of(device)
        self._width = int(classifier.config.hidden_size)
        self._solo = SoloThreads(torch.get_num_threads())
        self.token_budget = (
            budget_of(device)
            if self._attention
            else budget_of_parts(self._width, self._solo.number)
        )

    @staticmethod
    def suits(model: nn.Module) -> bool:
        """Say whether the model is built as this engine takes it to be."""
        config: Any = model.config
        return (
            type(model).__name__ in _ENCODERS
            and not config.is_decoder
            and getattr(config, "position_embedding_type", "absolute") == "absolute"
            and getattr(config, "embedding_size", config.hidden_size) == config.hidden_size
        )

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

        self._solo.run(run, cut(batch.lengths, self._width, self._solo.number))
        return output

    def _at_once(self, batch: TokenRows) -> Tensor:
        """Return (n, labels), on the device, where it may not be there yet."""
        if self._graphs is None or len(batch.ids) > LARGEST:
            places = Places.of(batch, self._device, int(batch.lengths.max(initial=1)))
            return self._placed(*self._moved(batch), *places.tensors)
        more = filled(batch)
        places = Places.of(more, self._device, columns_of(more))
        return self._graphs(*self._moved(more), *places.tensors)[: len(batch)]

    def _placed(self, ids: Tensor, frames: Tensor, *places: Tensor) -> Tensor:
        """Return (n, labels), by tensors alone, whose shapes decide what is done."""
        return self._forward(ids, frames, (self._attention or Padded)(Places(*places)))

    def _forward(self, ids: Tensor, frames: Tensor, attention: Attention) -> Tensor:
        """Return (n, labels) for tokens and their frames, (t,) each."""
        hidden = self._embedded(ids, frames)
        for layer in self._layers[:-1]:
            hidden = layer.all_tokens(hidden, attention)
        return self._headed(self._layers[-1].first_tokens(hidden, attention))

    def _read(self, batch: TokenRows) -> tuple[NDArray[Any], NDArray[np.int64]]:
        """Return each token's number and its frame: segment and place in one number."""
        tables = self._encoder.embeddings.position_embeddings
        types = batch.types.astype(np.int64) if self._typed else 0
        return batch.ids, types * tables.num_embeddings + places_of(batch, tables.padding_idx)

    def _moved(self, batch: TokenRows) -> tuple[Tensor, Tensor]:
        """Return what is read of a batch on the device."""
        ids, frames = self._read(batch)
        return moved(ids, self._device), moved(frames, self._device)

    def _embedded(self, ids: Tensor, frames: Tensor) -> Tensor:
        """Return (t, hidden): the sum of each token's three embeddings, normalised."""
        tables = self._encoder.embeddings
        summed = tables.word_embeddings(ids)
        summed += self._frames[frames]
        normalised: Tensor = tables.LayerNorm(summed)
        return normalised

    def _headed(self, first: Tensor) -> Tensor:
        """Return (n, labels): what the model's head makes of the first tokens, (n, hidden)."""
        rows = first[:, None]
        pooler = getattr(self._encoder, "pooler", None)
        logits: Tensor = self._model.classifier(rows if pooler is None else pooler(rows))
        return logits


def _fetched(logits: Tensor) -> NDArray[np.float32]:
    found: NDArray[np.float32] = logits.float().cpu().numpy()
    return found


def _frames(embeddings: Any) -> Tensor:
    """Return (types x places, hidden): the sum of each segment's and each place's embedding."""
    import torch

    types, places = embeddings.token_type_embeddings.weight, embeddings.position_embeddings.weight
    with torch.no_grad():
        summed: Tensor = (types[:, None] + places).flatten(0, 1)
    return summed


def _suiting(device: torch.device, model: Any) -> type[Padded] | None:
    """Return how attention is computed best on a device; None for rectangles, which a CPU likes."""
    if device.type == "cpu":
        return None
    heads = int(model.config.num_attention_heads)
    works = Varlen.works(device, model.dtype, heads, int(model.config.hidden_size) // heads)
    return Varlen if works else Padded
