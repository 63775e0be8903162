"""A model's tokeniser, as transformers reads it from the model's folder, or would."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from reranker.base import ModelError
from reranker.plain_tokenizer import PlainTokenizer

__all__ = ["ModelTokenizer"]

_FILES = ("tokenizer.json", "vocab.txt", "vocab.json", "*.model")
_UNSET = 10**9  # transformers writes an astronomical number where no length is known


@dataclass(frozen=True, slots=True)
class ModelTokenizer:
    """A tokeniser and what batches must know of it.

    Attributes:
        backend: the tokeniser proper.
        pad_id: the token that fills up rows.
        pads_left: whether rows are filled up at their beginning.
        cuts_left: whether texts lose their beginning when they are too long.
        typed: whether the model reads segment numbers.
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
        """Return how many tokens a row may have: as asked, else as declared, else what fits.

        Args:
            positions: how many the model has places for, where it is limited.
            declared: what the folder names.
            wanted: what the caller asks for.

        Raises:
            ModelError: when more is asked than fits, or nothing says how much that is.

        """
        if wanted is not None and positions is not None and wanted > positions:
            raise ModelError(f"expected max_length of at most {positions}, found {wanted}")
        known = [n for n in (declared or self.max_length, positions) if n is not None]
        if wanted is None and not known:
            raise ModelError("expected a model that names its maximum length; pass max_length=")
        return min(known) if wanted is None else wanted


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error) else ''}"
