"""Models of BERT's kind (BERT, ELECTRA, RoBERTa, XLM-R).

Names and sizes of weights, position ids, the first token's shortcut.

The gradients are the same: those of the other tokens' outputs are zero. With six layers a step
takes about a sixth less, with two nearly half.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import MethodType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from twopass.reranker.text.tokens import TokenRows

__all__ = [
    "Classifier",
    "first_token_alone",
    "places",
]


@dataclass(frozen=True, slots=True)
class Classifier:
    """The sizes of a classifier, and how its weights are called.

    Attributes:
        encoder: prefix of the encoder's weights.
        dense: prefix of the head's first product, (hidden, hidden).
        output: prefix of the head's second product, (labels, hidden).
        squash: what stands between the two, as ONNX calls it.
        layers: how many.
        heads: of attention.
        hidden: width of a token.
        inner: width between the last two products of a layer.
        labels: logits a row.
        words: size of the vocabulary.
        places: how many positions have an embedding.
        segments: how many kinds of segments have one.
        epsilon: of the norms.
        pad_id: where places are counted from behind the padding's number, that number.

    """

    encoder: str
    dense: str
    output: str
    squash: Literal["Tanh", "Gelu"]
    layers: int
    heads: int
    hidden: int
    inner: int
    labels: int
    words: int
    places: int
    segments: int
    epsilon: float
    pad_id: int | None

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Classifier | None:
        """Read a ``config.json``; None where it says or leaves open what is not known here."""
        naming = _NAMING.get(config.get("model_type", ""))
        if naming is None or not _is_plain(config) or not all(name in config for name in _SIZES):
            return None
        encoder, dense, output, squash = naming
        return cls(
            encoder=encoder,
            dense=dense,
            output=output,
            squash=squash,
            layers=int(config["num_hidden_layers"]),
            heads=int(config["num_attention_heads"]),
            hidden=int(config["hidden_size"]),
            inner=int(config["intermediate_size"]),
            labels=_labels(config),
            words=int(config["vocab_size"]),
            places=int(config["max_position_embeddings"]),
            segments=int(config["type_vocab_size"]),
            epsilon=float(config.get("layer_norm_eps", 1e-12)),
            pad_id=int(config.get("pad_token_id", 1)) if encoder == "roberta." else None,
        )

    @property
    def positions(self) -> int:
        """How many tokens a row may have."""
        return self.places - (0 if self.pad_id is None else self.pad_id + 1)

    @property
    def blocks(self) -> list[str]:
        """The layers' prefixes, in order."""
        return [f"{self.encoder}encoder.layer.{i}." for i in range(self.layers)]

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shape of every weight by its name."""
        wide, embeddings = self.hidden, f"{self.encoder}embeddings."
        shapes: dict[str, tuple[int, ...]] = {
            f"{embeddings}word_embeddings.weight": (self.words, wide),
            f"{embeddings}position_embeddings.weight": (self.places, wide),
            f"{embeddings}token_type_embeddings.weight": (self.segments, wide),
            f"{embeddings}LayerNorm.weight": (wide,),
            f"{embeddings}LayerNorm.bias": (wide,),
        }
        for block in self.blocks:
            for name in ("attention.output.LayerNorm", "output.LayerNorm"):
                shapes |= {f"{block}{name}.weight": (wide,), f"{block}{name}.bias": (wide,)}
            for name in ("self.query", "self.key", "self.value", "output.dense"):
                shapes |= _linear(f"{block}attention.{name}", wide, wide)
            shapes |= _linear(f"{block}intermediate.dense", self.inner, wide)
            shapes |= _linear(f"{block}output.dense", wide, self.inner)
        return shapes | _linear(self.dense, wide, wide) | _linear(self.output, self.labels, wide)


# by model_type: prefixes of the encoder and of the head's two products, and what squashes between
_Naming = tuple[str, str, str, Literal["Tanh", "Gelu"]]
_NAMING: Mapping[str, _Naming] = {
    "bert": ("bert.", "bert.pooler.dense", "classifier", "Tanh"),
    "electra": ("electra.", "classifier.dense", "classifier.out_proj", "Gelu"),
    "roberta": ("roberta.", "classifier.dense", "classifier.out_proj", "Tanh"),
    "xlm-roberta": ("roberta.", "classifier.dense", "classifier.out_proj", "Tanh"),
}
_SIZES = (
    *("num_hidden_layers", "num_attention_heads", "hidden_size", "intermediate_size"),
    *("vocab_size", "max_position_embeddings", "type_vocab_size"),
)


def _is_plain(config: Mapping[str, Any]) -> bool:
    """Say whether the architecture is the common one of its kind."""
    return (
        config.get("hidden_act", "gelu") == "gelu"
        and not config.get("is_decoder")
        and not config.get("quantization_config")
        and config.get("position_embedding_type") in (None, "absolute")
        and config.get("embedding_size", config.get("hidden_size")) == config.get("hidden_size")
        and config.get("num_hidden_layers", 0) > 0
    )


def _labels(config: Mapping[str, Any]) -> int:
    named = config.get("id2label")
    return len(named) if named else int(config.get("num_labels", 2))


def _linear(name: str, rows: int, columns: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (rows, columns), f"{name}.bias": (rows,)}


def places(batch: TokenRows, pad_id: int | None) -> NDArray[np.int64]:
    """Return (t,) int64: each token's place.

    Args:
        batch: the rows.
        pad_id: the padding token's number where the model counts as RoBERTa does: from behind that
            number, without padding. A document may have the padding token in its text; it gets the
            padding's own place.

    """
    if pad_id is None:
        return np.arange(len(batch.ids)) - np.repeat(batch.offsets[:-1], batch.lengths)
    real = batch.ids != pad_id
    counted = np.cumsum(real)
    before = np.concatenate(([0], counted))[batch.offsets[:-1]]
    found: NDArray[np.int64] = (counted - np.repeat(before, batch.lengths)) * real + pad_id
    return found


@contextmanager
def first_token_alone(model: Any) -> Iterator[None]:
    """Compute no more of a model's last layer than its score depends on, while this lasts.

    Does nothing with models other than transformers' ``BertForSequenceClassification``, with an
    attention that does not take a mask of numbers, or while activations are computed again for
    the backward pass, which would be made of the whole layer.

    Args:
        model: a sequence classifier of transformers.

    """
    last = _last_layer(model)
    if last is None:
        yield
        return
    last.attention.forward = MethodType(_attend, last.attention)
    try:
        yield
    finally:
        del last.attention.forward


def _last_layer(model: Any) -> Any:
    """Return the layer of which the first token's output is enough; None where it may not be."""
    if type(model).__name__ != "BertForSequenceClassification":
        return None
    last = model.bert.encoder.layer[-1]
    plain = model.config._attn_implementation in ("eager", "sdpa") and not last.is_decoder
    again = getattr(last, "gradient_checkpointing", False) or getattr(
        model.bert.encoder, "gradient_checkpointing", False
    )
    return last if plain and not again else None


def _attend(attention: Any, hidden: Any, mask: Any = None, *_: Any, **__: Any) -> tuple[Any, None]:
    """Return what attention makes of the first token of each row, (n, 1, hidden)."""
    from torch.nn.functional import scaled_dot_product_attention

    own, first = attention.self, hidden[:, :1]
    query, key, value = (
        part(rows).unflatten(-1, (own.num_attention_heads, -1)).transpose(1, 2)
        for part, rows in ((own.query, first), (own.key, hidden), (own.value, hidden))
    )
    dropped = own.dropout.p if attention.training else 0.0
    mask = mask if mask is None else mask[:, :, :1]
    found = scaled_dot_product_attention(query, key, value, mask, dropout_p=dropped)
    return attention.output(found.transpose(1, 2).flatten(2), first), None
