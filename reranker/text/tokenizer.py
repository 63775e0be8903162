"""A model's tokeniser, read from its folder without transformers where its files say everything.

transformers reads ``tokenizer.json`` and lets ``tokenizer_config.json`` change some of it, by rules
of each class. Where both say the same, the first is the tokeniser; where they differ, or a class is
not known here, transformers decides.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from twopass.reranker.architectures import token_types
from twopass.reranker.contract.errors import ModelError

__all__ = [
    "ModelTokenizer",
    "PlainTokenizer",
]


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
        pad_id: the token that pads rows.
        typed: whether it gives token types.
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
    return token_types(str(config.get("tokenizer_class")).removesuffix("Fast"))


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


_FILES = ("tokenizer.json", "vocab.txt", "vocab.json", "*.model")
_UNSET = 10**9  # transformers writes an astronomical number where no length is known


@dataclass(frozen=True, slots=True)
class ModelTokenizer:
    """A tokeniser and what batches must know of it.

    Attributes:
        backend: the tokeniser proper.
        pad_id: the token that pads rows.
        pads_left: whether rows are padded at their start.
        cuts_left: whether texts lose their start when they are too long.
        typed: whether it gives token types.
        max_length: tokens a row at most, where it is known.

    """

    backend: Tokenizer
    pad_id: int
    pads_left: bool
    cuts_left: bool
    typed: bool
    max_length: int | None

    @classmethod
    def load(cls, path: Path, *, trust_remote_code: bool = False) -> ModelTokenizer:
        """Load the tokeniser of a model's folder.

        Raises:
            ModelError: when there is none, it is not a fast one or it has no padding token.

        """
        plain = PlainTokenizer.read(path)
        if plain is not None:
            return cls._plain(plain)
        if not any(file for name in _FILES for file in path.glob(name)):
            # transformers would make up a tokeniser that knows no words
            raise ModelError(f"expected a tokenizer ({_FILES[0]}) in {str(path)!r}, found none")
        from transformers import AutoTokenizer

        try:
            tokenizer: Any = AutoTokenizer.from_pretrained(
                str(path), local_files_only=True, trust_remote_code=trust_remote_code
            )
        except Exception as error:
            raise ModelError(
                f"expected a tokenizer in {str(path)!r}, could not load one: {_first_line(error)}"
            ) from error
        if not getattr(tokenizer, "is_fast", False):
            raise ModelError(
                f"expected a fast tokenizer (tokenizer.json) in {str(path)!r}, "
                f"found {type(tokenizer).__name__}; convert it with transformers"
            )
        if tokenizer.pad_token_id is None:
            raise ModelError(
                f"expected a tokenizer with a padding token in {str(path)!r}, found none; "
                "set pad_token in its tokenizer_config.json"
            )
        return cls._of(tokenizer)

    @classmethod
    def _plain(cls, plain: PlainTokenizer) -> ModelTokenizer:
        length: int = plain.config.get("model_max_length") or _UNSET
        return cls(
            backend=plain.backend,
            pad_id=plain.pad_id,
            pads_left=plain.config.get("padding_side") == "left",
            cuts_left=plain.config.get("truncation_side") == "left",
            typed=plain.typed,
            max_length=length if length < _UNSET else None,
        )

    @classmethod
    def _of(cls, tokenizer: Any) -> ModelTokenizer:
        length = int(tokenizer.model_max_length)
        return cls(
            backend=tokenizer.backend_tokenizer,
            pad_id=int(tokenizer.pad_token_id),
            pads_left=tokenizer.padding_side == "left",
            cuts_left=tokenizer.truncation_side == "left",
            typed="token_type_ids" in tokenizer.model_input_names,
            max_length=length if length < _UNSET else None,
        )

    def limit(self, positions: int | None, declared: int | None, wanted: int | None) -> int:
        """Return how many tokens a row may have: as wanted, else as declared, else what fits.

        Args:
            positions: how many the model can take, where that is limited.
            declared: what the folder names.
            wanted: what the caller wants.

        Raises:
            ModelError: when more is wanted than fits, or nothing says how much that is.

        """
        if wanted is not None and positions is not None and wanted > positions:
            raise ModelError(f"expected max_length of at most {positions}, found {wanted}")
        known = [n for n in (declared or self.max_length, positions) if n is not None]
        if wanted is None and not known:
            raise ModelError("expected a model that names its maximum length; pass max_length=")
        return min(known) if wanted is None else wanted


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error) else ''}"
