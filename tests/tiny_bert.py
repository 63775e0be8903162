"""A real cross-encoder of BERT's kind, tiny and untrained, for tests that need any model."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

__all__ = ["save_tiny_bert"]

_SPECIAL = {"pad": "[PAD]", "unk": "[UNK]", "cls": "[CLS]", "sep": "[SEP]", "mask": "[MASK]"}


def save_tiny_bert(
    folder: Path, words: Iterable[str], *, max_length: int = 64, seed: int = 3
) -> Path:
    """Save one that knows these words; it has one label, and scores that differ visibly."""
    import torch
    from tokenizers import BertWordPieceTokenizer
    from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

    known = [*_SPECIAL.values(), *sorted(set(words))]
    vocabulary = {word: number for number, word in enumerate(known)}
    PreTrainedTokenizerFast(
        tokenizer_object=BertWordPieceTokenizer(vocabulary),
        model_max_length=max_length,
        **{f"{name}_token": token for name, token in _SPECIAL.items()},
    ).save_pretrained(folder)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        num_labels=1,
        initializer_range=1.0,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        BertForSequenceClassification(config).save_pretrained(folder)
    return folder
