"""DistilBERT: BERT's layers by other names, without token types, and another head.

Cite: Sanh et al. 2019, "DistilBERT, a distilled version of BERT", arXiv:1910.01108.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from twopass.reranker.architectures.family import (
    Architecture,
    Embeddings,
    Family,
    Head,
    Layer,
    is_activation,
    label_count,
)

__all__ = ["FAMILIES"]

_SIZES = ("n_layers", "n_heads", "dim", "hidden_dim", "vocab_size", "max_position_embeddings")
_EPSILON = 1e-12  # transformers' code has it, the configuration has not


def _read(config: Mapping[str, Any]) -> Architecture | None:
    known = all(config.get(name) for name in _SIZES) and not config.get("quantization_config")
    if not known or not is_activation(config.get("activation", "gelu")):
        return None
    return Architecture(
        embeddings=Embeddings(
            words="distilbert.embeddings.word_embeddings",
            positions="distilbert.embeddings.position_embeddings",
            types=None,
            norm="distilbert.embeddings.LayerNorm",
        ),
        layers=tuple(
            _layer(f"distilbert.transformer.layer.{number}") for number in range(config["n_layers"])
        ),
        head=Head("pre_classifier", "relu", "classifier"),
        activation=config.get("activation", "gelu"),
        heads=int(config["n_heads"]),
        hidden=int(config["dim"]),
        inner=int(config["hidden_dim"]),
        labels=label_count(config),
        vocabulary_size=int(config["vocab_size"]),
        position_count=int(config["max_position_embeddings"]),
        type_count=0,
        epsilon=_EPSILON,
    )


def _layer(name: str) -> Layer:
    return Layer(
        query=f"{name}.attention.q_lin",
        key=f"{name}.attention.k_lin",
        value=f"{name}.attention.v_lin",
        attention_output=f"{name}.attention.out_lin",
        attention_norm=f"{name}.sa_layer_norm",
        inner=f"{name}.ffn.lin1",
        output=f"{name}.ffn.lin2",
        output_norm=f"{name}.output_layer_norm",
    )


FAMILIES = (
    Family(
        "distilbert",
        "DistilBertForSequenceClassification",
        _read,
        {"DistilBertTokenizer": False},
    ),
)
