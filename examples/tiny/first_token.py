"""A model in training, of which no more is computed than its score depends on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from reranker.tokens import TokenRows
from reranker.training.subject import Subject

__all__ = ["FirstToken"]


@dataclass(frozen=True, slots=True, eq=False)
class FirstToken(Subject):
    """A BERT whose last layer is computed for the first token alone, which is all its head reads.

    With two layers that is nearly half of a step.
    """

    @classmethod
    def of(cls, subject: Subject) -> FirstToken:
        """Return the same model, trained so."""
        return cls(*(getattr(subject, name) for name in Subject.__dataclass_fields__))

    def forward(self, rows: TokenRows, precision: str) -> torch.Tensor:
        """Return the logit of each row, (n,) float32."""
        if precision != "fp32":
            return Subject.forward(self, rows, precision)
        ids, types, mask = map(torch.from_numpy, rows.padded(self.reading.pad_id, left=False))
        bert = self.model.bert
        hidden = bert.embeddings(input_ids=ids, token_type_ids=types)
        kept = (1.0 - mask[:, None, None].float()) * torch.finfo(torch.float32).min
        *lower, last = bert.encoder.layer
        for layer in lower:
            hidden = layer(hidden, kept)
        logits: torch.Tensor = self.model.classifier(bert.pooler(_first(last, hidden, kept)))
        return logits[:, 0]


def _first(layer: Any, hidden: torch.Tensor, kept: torch.Tensor) -> torch.Tensor:
    """Return a layer's output for the first token, (n, 1, hidden)."""
    own, first = layer.attention.self, hidden[:, :1]
    query, key, value = (
        part(rows).unflatten(-1, (own.num_attention_heads, -1)).transpose(1, 2)
        for part, rows in ((own.query, first), (own.key, hidden), (own.value, hidden))
    )
    weights = (query @ key.transpose(2, 3) * own.scaling + kept).softmax(-1)
    found = (weights @ value).transpose(1, 2).flatten(2)
    output: torch.Tensor = layer.feed_forward_chunk(layer.attention.output(found, first))
    return output
