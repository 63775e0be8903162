"""BERT, and those whose layers are BERT's: ELECTRA, RoBERTa, XLM-R and CamemBERT.

They differ in the prefix of the encoder's weights, in the head, and in how positions are counted,
so they are variants of one family rather than modules of their own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from types import MethodType
from typing import Any

from twopass.reranker.architectures.family import (
    Activation,
    Architecture,
    Embeddings,
    Family,
    Head,
    Layer,
    is_activation,
    label_count,
)

__all__ = ["FAMILIES"]

_SIZES = (
    *("num_hidden_layers", "num_attention_heads", "hidden_size", "intermediate_size"),
    *("vocab_size", "max_position_embeddings", "type_vocab_size"),
)


def _read(
    config: Mapping[str, Any], *, prefix: str, head: Head, behind_padding: bool = False
) -> Architecture | None:
    """Read a ``config.json``.

    Args:
        config: the file's content.
        prefix: of the encoder's weights.
        head: names of the head's.
        behind_padding: whether positions are counted from behind the padding token's id.

    """
    if not all(config.get(name) for name in _SIZES) or not _is_plain(config):
        return None
    embeddings = f"{prefix}.embeddings"
    return Architecture(
        embeddings=Embeddings(
            words=f"{embeddings}.word_embeddings",
            positions=f"{embeddings}.position_embeddings",
            types=f"{embeddings}.token_type_embeddings",
            norm=f"{embeddings}.LayerNorm",
        ),
        layers=tuple(
            _layer(f"{prefix}.encoder.layer.{number}")
            for number in range(config["num_hidden_layers"])
        ),
        head=head,
        activation=config.get("hidden_act", "gelu"),
        heads=int(config["num_attention_heads"]),
        hidden=int(config["hidden_size"]),
        inner=int(config["intermediate_size"]),
        labels=label_count(config),
        vocabulary_size=int(config["vocab_size"]),
        position_count=int(config["max_position_embeddings"]),
        type_count=int(config["type_vocab_size"]),
        epsilon=float(config.get("layer_norm_eps", 1e-12)),
        pad_id=int(config.get("pad_token_id", 1)) if behind_padding else None,
    )


def _is_plain(config: Mapping[str, Any]) -> bool:
    """Say whether nothing in the configuration changes what a layer computes."""
    return (
        is_activation(config.get("hidden_act", "gelu"))
        and not config.get("is_decoder")
        and not config.get("quantization_config")
        and config.get("position_embedding_type") in (None, "absolute")
        and config.get("embedding_size", config.get("hidden_size")) == config.get("hidden_size")
    )


def _layer(name: str) -> Layer:
    own = f"{name}.attention"
    return Layer(
        query=f"{own}.self.query",
        key=f"{own}.self.key",
        value=f"{own}.self.value",
        attention_output=f"{own}.output.dense",
        attention_norm=f"{own}.output.LayerNorm",
        inner=f"{name}.intermediate.dense",
        output=f"{name}.output.dense",
        output_norm=f"{name}.output.LayerNorm",
    )


@contextmanager
def _first_token_only(model: Any) -> Iterator[None]:
    """Compute the last layer of BERT for first tokens only; the gradients are the same.

    Those of the other tokens' outputs are zero. With six layers a step takes about a sixth less,
    with two nearly half. Does nothing with an attention that does not take a mask of numbers, or
    while activations are computed again for the backward pass, which needs the whole layer.
    """
    last = model.bert.encoder.layer[-1]
    if _recomputes(model.bert.encoder) or _recomputes(last) or not _takes_masks(model, last):
        yield
        return
    last.attention.forward = MethodType(_attend, last.attention)
    try:
        yield
    finally:
        del last.attention.forward


def _recomputes(module: Any) -> bool:
    return bool(getattr(module, "gradient_checkpointing", False))


def _takes_masks(model: Any, layer: Any) -> bool:
    return model.config._attn_implementation in ("eager", "sdpa") and not layer.is_decoder


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


def _with_dense_head(activation: Activation) -> Head:
    """Return the head of the later ones, which have no pooler."""
    return Head("classifier.dense", activation, "classifier.out_proj")


_roberta = partial(_read, prefix="roberta", head=_with_dense_head("tanh"), behind_padding=True)

FAMILIES = (
    Family(
        "bert",
        "BertForSequenceClassification",
        partial(_read, prefix="bert", head=Head("bert.pooler.dense", "tanh", "classifier")),
        {"BertTokenizer": True},
        _first_token_only,
    ),
    Family(
        "electra",
        "ElectraForSequenceClassification",
        partial(_read, prefix="electra", head=_with_dense_head("gelu")),
        {"ElectraTokenizer": True},
    ),
    Family("roberta", "RobertaForSequenceClassification", _roberta, {"RobertaTokenizer": False}),
    Family(
        "xlm-roberta",
        "XLMRobertaForSequenceClassification",
        _roberta,
        {"XLMRobertaTokenizer": False},
    ),
    Family("camembert", "CamembertForSequenceClassification", _roberta),
)
