"""A small BERT whose first weights are built to compare two texts, rather than drawn at random.

Random layers do not find out within an hour of a CPU that a query's words are to be looked for in
the passage: their loss stays at a guess's. So the layers are built to do that from the first step:

- A word's embedding is what an encoder makes of the word alone, by principal components, as static
  embeddings are made (Tulkens & van Dongen 2024, Model2Vec), whitened in part, turned at random
  and of length 1; beside it stand the word's rarity, its place, and the side that it is on.
- In the first layer queries and keys are the embeddings, so that a word attends to its like, and of
  opposite sign where they hold the side, so that it looks for it in the other text. What it finds
  is taken from what it holds: where the two are alike little is left, and the layer norm lifts the
  other numbers. A match is then a large number in one place.
- In the last layer the first token gathers that number from the query's words, and from the
  passage's, rare words first.

All of it is then trained like any other weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from twopass.reranker.contract.errors import ModelError, RecipeError

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = ["new_student"]

_HEAD = 64
_SIDE, _RARITY, _MATCH, _FOUND, _PLACE, _WORDS = 0, 1, 2, 3, 4, 8  # where in a hidden state
_PERIODS = 2.5, 16.0  # of the places, in tokens a radian


@dataclass(frozen=True, slots=True)
class _Strengths:
    """How strong each part is, beside a word of length 1."""

    side: float = 0.35
    rarity: float = 0.5  # of the rarest word
    place: float = 0.08
    whitening: float = 0.5  # 0 leaves the components' spreads as they are, 1 makes them equal
    sharpness: tuple[float, float] = (2.0, 1.0)  # of attention to the like, by turns of the heads
    across: float = 4.0
    taken: float = 0.6  # share of the found word that is taken from the word
    gathered: float = 2.0
    noise: float = 0.01  # of every other weight


def new_student(
    source: Any, tokenizer: Any, *, layers: int, hidden: int, texts: Sequence[str] = ()
) -> nn.Module:
    """Return a new BERT classifier with one label, built from what another BERT knows of words.

    Args:
        source: a model of BERT's kind.
        tokenizer: transformers' object for it; without texts its vocabulary is taken to be in the
            order of frequency, as BERT's is.
        layers: how many layers; the first and the last are built if there are two, those between
            begin by passing on what they get.
        hidden: how wide; heads are 64 wide, the feed-forward layers four times the width.
        texts: count in how many of these a word stands, to know how rare it is.

    Raises:
        ModelError: when the source is not of BERT's kind.
        RecipeError: when the width is no multiple of 64, or above the source's.

    """
    import torch

    encoder = source.base_model
    sides = getattr(getattr(encoder, "embeddings", None), "token_type_embeddings", None)
    if sides is None or len(sides.weight) < 2:
        raise ModelError(
            "hidden: expected a model of BERT's kind, which tells a query's words from a "
            f"passage's, found {type(source).__name__}"
        )
    if hidden % _HEAD or hidden > source.config.hidden_size:
        raise RecipeError(
            f"hidden: expected a multiple of {_HEAD} up to {source.config.hidden_size}, "
            f"found {hidden}"
        )
    model, strengths = _empty(source.config, layers, hidden), _Strengths()
    with torch.no_grad():
        for weight in model.parameters():
            if weight.dim() > 1:
                weight.normal_(0.0, strengths.noise)
        _embed(
            model.bert.embeddings,
            _components(_words(encoder, tokenizer), hidden - _WORDS, strengths.whitening),
            _counted(tokenizer, source.config.vocab_size, texts)
            if texts
            else _ranked(tokenizer, source.config.vocab_size),
            strengths,
        )
        _look_across(model.bert.encoder.layer[0].attention, strengths)
        if layers > 1:
            _gather(model.bert.encoder.layer[-1].attention, strengths)
        _read(model)
    made: nn.Module = model
    return made


def _empty(like: Any, layers: int, hidden: int) -> Any:
    from transformers import BertConfig, BertForSequenceClassification

    kept = ("vocab_size", "max_position_embeddings", "type_vocab_size", "pad_token_id")
    make_config: Any = BertConfig
    return BertForSequenceClassification(
        make_config(
            **{name: getattr(like, name) for name in kept},
            hidden_size=hidden,
            num_hidden_layers=layers,
            num_attention_heads=hidden // _HEAD,
            intermediate_size=4 * hidden,
            num_labels=1,
            attn_implementation=like._attn_implementation,
        )
    )


def _words(encoder: Any, tokenizer: Any) -> Tensor:
    """Return what an encoder makes of each word of its vocabulary alone, (v, d), of length 1."""
    import torch

    words = torch.arange(encoder.config.vocab_size).unsqueeze(1)
    first, last = (
        torch.full_like(words, token) for token in (tokenizer.cls_token_id, tokenizer.sep_token_id)
    )
    encoder.eval()
    means = []
    for rows in torch.split(torch.cat([first, words, last], 1), 1024):
        hidden = encoder(input_ids=rows, attention_mask=torch.ones_like(rows)).last_hidden_state
        means.append(hidden.float().mean(1))
    return torch.nn.functional.normalize(torch.cat(means), dim=1)


def _components(words: Tensor, count: int, whitening: float) -> Tensor:
    """Return the first principal components, (v, count), turned at random, of length 1."""
    import torch

    centred = (words - words.mean(0)).double()
    spread, axes = torch.linalg.eigh(centred.T @ centred / len(centred))
    spread, axes = spread.flip(0)[:count].clamp(min=1e-9), axes.flip(1)[:, :count]
    turned, _ = torch.linalg.qr(torch.randn(count, count, dtype=torch.float64))
    values = centred @ (axes * spread ** (-whitening / 2)) @ turned
    return torch.nn.functional.normalize(values, dim=1).float()


def _counted(tokenizer: Any, size: int, texts: Sequence[str]) -> Tensor:
    """Return how rare each word is among the texts, (v,), from 0 to 1: its idf by the greatest."""
    import torch

    found = torch.zeros(size, dtype=torch.float64)
    encoded = tokenizer.backend_tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
    for each in encoded:
        found[list(set(each.ids))] += 1
    idf = torch.log1p((len(texts) - found + 0.5) / (found + 0.5))
    share: Tensor = (idf / idf.max()).float()
    return share


def _ranked(tokenizer: Any, size: int) -> Tensor:
    """Return how rare each word is by its place in the vocabulary, (v,), from 0 to 1.

    In BERT's, marks and letters stand before the commonest word. Frequency falls with the inverse
    of the rank (Zipf).
    """
    import torch

    commonest = tokenizer.get_vocab().get("the", 0)
    rank = (torch.arange(size) - commonest).clamp(min=0).float()
    rare = rank.log1p()
    share: Tensor = rare / rare.max().clamp(min=1.0)
    return share


def _embed(table: Any, words: Tensor, rare: Tensor, s: _Strengths) -> None:
    import torch

    for part in (table.word_embeddings, table.token_type_embeddings, table.position_embeddings):
        part.weight.zero_()
    table.word_embeddings.weight[:, _WORDS:] = words
    table.word_embeddings.weight[:, _RARITY] = s.rarity * rare
    table.token_type_embeddings.weight[0, _SIDE] = s.side
    table.token_type_embeddings.weight[1, _SIDE] = -s.side
    position = torch.arange(len(table.position_embeddings.weight)).float()
    waves = [turn(position / period) for period in _PERIODS for turn in (torch.sin, torch.cos)]
    table.position_embeddings.weight[:, _PLACE:_WORDS] = s.place * torch.stack(waves, 1)


def _look_across(attention: Any, s: _Strengths) -> None:
    """Let each word find its like on the other side, and take it from what it holds."""
    import torch

    own = attention.self
    heads = own.num_attention_heads
    share = (heads * _HEAD - _WORDS) // heads
    for head in range(heads):
        rows = torch.arange(share) + head * _HEAD
        columns = torch.arange(share) + head * share + _WORDS
        for part in (own.query, own.key):
            part.weight[rows, columns] += s.sharpness[head % 2] ** 0.5
        own.value.weight[rows, columns] += 1.0
        attention.output.dense.weight[columns, rows] -= s.taken
        own.query.weight[head * _HEAD + share, _SIDE] += s.across**0.5
        own.key.weight[head * _HEAD + share, _SIDE] -= s.across**0.5


def _gather(attention: Any, s: _Strengths) -> None:
    """Let the first token take the matches of the query's side, and of the passage's."""
    own = attention.self
    places = ((1.0, _MATCH), (-1.0, _FOUND))
    for head, (side, place) in zip(range(own.num_attention_heads), places, strict=False):
        row = head * _HEAD
        own.query.weight[row] = 0.0
        own.query.bias[row] = 1.0
        own.key.weight[row, _SIDE] += s.gathered * side
        own.key.weight[row, _RARITY] += s.gathered
        own.value.weight[row] = 0.0
        own.value.weight[row, _SIDE] = side
        attention.output.dense.weight[place] = 0.0
        attention.output.dense.weight[place, row] = 1.0


def _read(model: Any) -> None:
    """Let the score rise with both."""
    model.bert.pooler.dense.weight[0, _MATCH] += 0.3
    model.bert.pooler.dense.weight[0, _FOUND] += 0.1
    model.classifier.weight[0, 0] += 2.0
