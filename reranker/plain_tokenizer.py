"""A tokeniser's files, read without transformers where they leave nothing to interpret.

transformers reads ``tokenizer.json`` and lets ``tokenizer_config.json`` change some of it, by rules
of each class. Where both say the same, the first is the tokeniser; where they differ, or a class is
not known here, nothing is decided here and transformers is asked.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

__all__ = ["PlainTokenizer"]

# whether tokenisers of a class give segment numbers, where their files do not say
_TYPED: Mapping[str, bool] = {
    **dict.fromkeys(("BertTokenizer", "ElectraTokenizer"), True),
    **dict.fromkeys(("RobertaTokenizer", "XLMRobertaTokenizer"), False),
}
_NAMES_OF_TOKENS = ("pad_token", "cls_token", "sep_token", "unk_token", "mask_token", "bos_token")
# a setting of the class, and where tokenizer.json says the same: part, its type, its field
_SETTINGS = (
    ("do_lower_case", "normalizer", "BertNormalizer", "lowercase"),
    ("strip_accents", "normalizer", "BertNormalizer", "strip_accents"),
    ("tokenize_chinese_chars", "normalizer", "BertNormalizer", "handle_chinese_chars"),
    ("add_prefix_space", "pre_tokenizer", "ByteLevel", "add_prefix_space"),
)


@dataclass(frozen=True, slots=True)
class PlainTokenizer:
    """A tokeniser as its files say.

    Attributes:
        backend: the tokeniser proper.
        pad_id: the token that fills up rows.
        typed: whether it gives segment numbers.
        config: its ``tokenizer_config.json``.

    """

    backend: Tokenizer
    pad_id: int
    typed: bool
    config: Mapping[str, Any]

    @classmethod
    def read(cls, path: Path) -> PlainTokenizer | None:
        """Read a folder's tokeniser; None where its files are not enough to know it."""
        try:
            config = json.loads((path / "tokenizer_config.json").read_text(encoding="utf-8"))
            text = (path / "tokenizer.json").read_text(encoding="utf-8")
            backend = Tokenizer.from_str(text)
        except Exception:  # whatever it is, transformers will say it
            return None
        typed = _typed(config)
        pad = _content(config.get("pad_token"))
        pad_id = None if pad is None else backend.token_to_id(pad)
        if typed is None or pad_id is None or "auto_map" in config:
            return None
        if not _knows_tokens(backend, config) or not _agrees(config, json.loads(text)):
            return None
        return cls(backend, pad_id, typed, config)


def _typed(config: Mapping[str, Any]) -> bool | None:
    named = config.get("model_input_names")
    if named is not None:
        return "token_type_ids" in named
    return _TYPED.get(str(config.get("tokenizer_class")).removesuffix("Fast"))


def _content(token: Any) -> str | None:
    """Return a token that is written as its text, or as an object with its text."""
    found = token.get("content") if isinstance(token, Mapping) else token
    return found if isinstance(found, str) else None


def _knows_tokens(backend: Tokenizer, config: Mapping[str, Any]) -> bool:
    """Say whether tokenizer.json has all tokens that the configuration names."""
    named = [_content(config.get(name)) for name in _NAMES_OF_TOKENS]
    extra = [_content(token) for token in config.get("additional_special_tokens") or []]
    added = [_content(token) for token in (config.get("added_tokens_decoder") or {}).values()]
    return all(t is None or backend.token_to_id(t) is not None for t in (*named, *extra, *added))


def _agrees(config: Mapping[str, Any], spec: Mapping[str, Any]) -> bool:
    """Say whether the configuration's settings are those of tokenizer.json."""
    for setting, part, kind, field in _SETTINGS:
        step = spec.get(part) or {}
        if setting in config and step.get("type") == kind and config[setting] != step.get(field):
            return False
    return True
