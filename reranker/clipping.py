"""Very long texts, cut before they are tokenised: where a cut cannot change the tokens before it.

Only so many tokens of a text are read, and tokenising 5 MB to keep 512 tokens takes seconds. A
text may be cut in front of a character at which the tokeniser would split anyway, whatever
surrounds it: then the tokens of the part are the first tokens of the whole. Which characters are
such borders follows from the tokeniser's own description; where nothing is known, nothing is cut.
"""

from __future__ import annotations

import json
import re
from typing import Any

from tokenizers import Tokenizer

__all__ = ["border_of", "clip"]

_PUNCTUATION = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"
_IDEOGRAPHS = "\u4e00-\u9fff\u3400-\u4dbf"
_LOCAL_NORMALIZERS = {
    *("BertNormalizer", "Lowercase", "Precompiled", "Strip", "StripAccents", "Nmt"),
    *("NFC", "NFD", "NFKC", "NFKD"),
}


def border_of(tokenizer: Tokenizer) -> re.Pattern[str] | None:
    """Return what matches, empty, where a text can be cut; None where no place is known to be safe.

    Known are BERT's pre-tokeniser, which splits at white space, ASCII punctuation and (if so
    normalised) Chinese characters; and GPT-2's byte-level and SentencePiece's metaspace, which
    split between a character and a space.
    """
    normalizers = _steps(_spec(tokenizer.normalizer), "normalizers")
    splitters = _steps(_spec(tokenizer.pre_tokenizer), "pretokenizers")
    if any(step["type"] not in _LOCAL_NORMALIZERS for step in normalizers):
        return None
    added = "".join(t.content for t in tokenizer.get_added_tokens_decoder().values())
    if [step["type"] for step in splitters] == ["BertPreTokenizer"]:
        return _bert_border(added, normalizers)
    if " " not in added and splitters and all(_splits_at_spaces(step) for step in splitters):
        return re.compile(r"(?<=\w)(?= )")
    return None


def clip(text: str, characters: int, border: re.Pattern[str]) -> str:
    """Return the text up to the first border at or after so many characters, or all of it."""
    found = border.search(text, characters) if len(text) > characters else None
    return text[: found.start()] if found else text


def _spec(part: Any) -> dict[str, Any] | None:
    """Describe a part of a tokeniser, without its vocabulary, which is long."""
    if part is None:
        return None
    spec: dict[str, Any] = json.loads(part.__getstate__())
    return spec


def _steps(part: dict[str, Any] | None, inner: str) -> list[dict[str, Any]]:
    if part is None:
        return []
    steps: list[dict[str, Any]] = part[inner] if part["type"] == "Sequence" else [part]
    return steps


def _bert_border(added: str, normalizers: list[dict[str, Any]]) -> re.Pattern[str]:
    """Characters that split by themselves, except those of added tokens such as [SEP]."""
    single = "".join(c for c in " \t\n" + _PUNCTUATION if c not in added)
    chinese = any(step.get("handle_chinese_chars") for step in normalizers)
    return re.compile(f"(?=[{re.escape(single)}{_IDEOGRAPHS if chinese else ''}])")


def _splits_at_spaces(step: dict[str, Any]) -> bool:
    switches = {"WhitespaceSplit": "", "ByteLevel": "use_regex", "Metaspace": "split"}
    switch = switches.get(step["type"])
    return switch is not None and bool(step.get(switch, True))
