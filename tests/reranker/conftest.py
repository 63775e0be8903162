"""Tiny models of several kinds, with random weights, saved as transformers saves them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

TEXTS = [
    "What is the capital of Germany, and how many people live there?",
    "Berlin is the capital and largest city of Germany; it has 3.7 million people.",
    "The museum's history of modern art: paintings, prints & films (1900-1960).",
    "A small town in the mountains, far away from any large road or river.",
    "柏林是德国的首都。 Берлин — столица. 🙂 naïve café",
]

Build = Callable[..., Path]


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Tiny models gain nothing from threads, and on a busy machine lose much by them."""
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def texts() -> list[str]:
    return TEXTS


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Build:
    """Give the folder of a tiny model: tiny("bert"), tiny("roberta", labels=3), ..."""
    folders: dict[tuple[str, int], Path] = {}

    def build(kind: str, labels: int = 1) -> Path:
        if (kind, labels) not in folders:
            folder = tmp_path_factory.mktemp(f"{kind}-{labels}")
            save_model(folder, kind, labels)
            folders[kind, labels] = folder
        return folders[kind, labels]

    return build


def save_model(folder: Path, kind: str, labels: int) -> None:
    import torch
    import transformers

    tokenizer = TOKENIZERS[kind]()
    sizes: dict[str, Any] = {
        "vocab_size": tokenizer.backend_tokenizer.get_vocab_size(),
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 64,
        "max_position_embeddings": 64,
        "initializer_range": 0.3,
        "num_labels": labels,
        "pad_token_id": tokenizer.pad_token_id,
    }
    name = CLASSES[kind]
    if kind == "distilbert":
        sizes |= {"dim": 32, "n_layers": 2, "n_heads": 2, "hidden_dim": 64}
        for unknown in ("hidden_size", "num_hidden_layers", "num_attention_heads"):
            del sizes[unknown]
    if kind in (
        "roberta",
        "xlm-roberta",
        "camembert",
    ):  # it counts places from behind the padding's number
        sizes["max_position_embeddings"] = 64 + tokenizer.pad_token_id + 1
        sizes["type_vocab_size"] = 1
    if kind == "electra":
        sizes["embedding_size"] = 32
    if kind == "modernbert":
        sizes |= {"cls_token_id": tokenizer.cls_token_id, "sep_token_id": tokenizer.sep_token_id}
        sizes |= {"reference_compile": False, "global_attn_every_n_layers": 2}
    torch.manual_seed(7)
    config = getattr(transformers, f"{name}Config")(**sizes)
    model = getattr(transformers, f"{name}ForSequenceClassification")(config)
    for parameter in model.parameters():  # zeros of biases and ones of norms would hide mistakes
        parameter.data += 0.1 * torch.randn_like(parameter)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def wordpiece() -> Any:
    from transformers import BertTokenizerFast

    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    trainer = trainers.WordPieceTrainer(vocab_size=300, special_tokens=special, show_progress=False)
    tokenizer.train_from_iterator(TEXTS, trainer)
    return BertTokenizerFast(vocab=tokenizer.get_vocab(), model_max_length=64)


def byte_level(typed: bool) -> Any:
    from transformers import PreTrainedTokenizerFast

    cls, sep, pad = ("[CLS]", "[SEP]", "[PAD]") if typed else ("<s>", "</s>", "<pad>")
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=[cls, pad, sep, "<mask>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(TEXTS, trainer)
    ids = {token: tokenizer.token_to_id(token) for token in (cls, sep)}
    if typed:
        tokenizer.post_processor = processors.TemplateProcessing(
            single=f"{cls} $A {sep}", pair=f"{cls} $A {sep} $B {sep}", special_tokens=[*ids.items()]
        )
    else:
        tokenizer.post_processor = processors.RobertaProcessing((sep, ids[sep]), (cls, ids[cls]))
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        cls_token=cls,
        sep_token=sep,
        pad_token=pad,
        mask_token="<mask>",
        model_max_length=64,
        model_input_names=["input_ids", "attention_mask"],
    )


def sentencepiece() -> Any:
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=200,
        special_tokens=["<s>", "<pad>", "</s>", "<unk>"],
        unk_token="<unk>",
        show_progress=False,
    )
    tokenizer.train_from_iterator(TEXTS, trainer)
    pairs = [(token, tokenizer.token_to_id(token)) for token in ("<s>", "</s>")]
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=pairs
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        cls_token="<s>",
        sep_token="</s>",
        pad_token="<pad>",
        unk_token="<unk>",
        model_max_length=64,
        model_input_names=["input_ids", "attention_mask"],
    )


TOKENIZERS: dict[str, Callable[[], Any]] = {
    "bert": wordpiece,
    "electra": wordpiece,
    "distilbert": wordpiece,
    "roberta": lambda: byte_level(typed=False),
    "xlm-roberta": sentencepiece,
    "camembert": sentencepiece,
    "modernbert": lambda: byte_level(typed=True),
}
CLASSES = {
    "bert": "Bert",
    "electra": "Electra",
    "distilbert": "DistilBert",
    "roberta": "Roberta",
    "xlm-roberta": "XLMRoberta",
    "camembert": "Camembert",
    "modernbert": "ModernBert",
}
