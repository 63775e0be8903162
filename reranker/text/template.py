"""The frame of special tokens around a pair's texts, and where a very long text is cut before.

Only the first tokens of a text are read, and tokenising 5 MB to keep 512 tokens takes seconds. A
text may be cut in front of a character at which the tokeniser would split anyway, whatever
surrounds it: then the tokens of the part are the first tokens of the whole. Which characters are
such borders follows from the tokeniser's own description; where nothing is known, nothing is cut.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from twopass.reranker.contract.errors import ModelError
from twopass.reranker.text.tokens import TokenRows

__all__ = [
    "Ids",
    "PairTemplate",
    "border_of",
    "clip",
]


_PUNCTUATION = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"
_IDEOGRAPHS = "\u4e00-\u9fff\u3400-\u4dbf"
_LOCAL_NORMALIZERS = {
    *("BertNormalizer", "Lowercase", "Precompiled", "Strip", "StripAccents", "Nmt"),
    *("NFC", "NFD", "NFKC", "NFKD"),
}


def border_of(tokenizer: Tokenizer) -> re.Pattern[str] | None:
    """Return what matches, empty, where a text can be cut; None where no cut is known to be safe.

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
    """Return the text up to the first border at or after a number of characters, or all of it."""
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


Ids: TypeAlias = NDArray[np.int32]


@dataclass(frozen=True, slots=True, eq=False)
class PairTemplate:
    """The special tokens around and between the two texts of a pair.

    Attributes:
        ids: before the query, between the texts, after the document: int32 ids.
        types: the segment numbers of those three, and of the query and the document.

    """

    ids: tuple[Ids, Ids, Ids]
    types: tuple[Ids, Ids, Ids]
    query_type: int
    document_type: int

    @property
    def size(self) -> int:
        """How many special tokens a pair has."""
        return sum(len(part) for part in self.ids)

    @classmethod
    def of(cls, tokenizer: Tokenizer) -> PairTemplate:
        """Read the template off the tokeniser's encoding of a sample pair.

        Raises:
            ModelError: when the sample's encoding is not its texts in a frame of special tokens.

        """
        encoding = tokenizer.encode("a", "b")
        ids = np.array(encoding.ids, dtype=np.int32)
        types = np.array(encoding.type_ids, dtype=np.int32)
        segment = np.array([-1 if s is None else s for s in encoding.sequence_ids])
        first, second = np.flatnonzero(segment == 0), np.flatnonzero(segment == 1)
        if not _is_frame(first, second, segment):
            raise ModelError(
                "expected a tokenizer that sets two texts into one frame of special tokens, "
                f"found {encoding.tokens} for the pair 'a', 'b'"
            )
        before, between, after = (
            slice(0, first[0]),
            slice(first[-1] + 1, second[0]),
            slice(second[-1] + 1, len(ids)),
        )
        return cls(
            ids=(ids[before], ids[between], ids[after]),
            types=(types[before], types[between], types[after]),
            query_type=int(types[first[0]]),
            document_type=int(types[second[0]]),
        )

    def framed(self, texts: Sequence[tuple[Ids, Ids]]) -> TokenRows:
        """Return one row for each query's and document's own tokens, set into the template."""
        before, between, after = self.ids
        flat = [p for query, document in texts for p in (before, query, between, document, after)]
        sizes = np.array([[len(q), len(d)] for q, d in texts], dtype=np.int64).reshape(-1, 2)
        offsets = np.concatenate(([0], np.cumsum(sizes.sum(axis=1) + self.size)))
        ids = np.concatenate(flat) if flat else np.zeros(0, dtype=np.int32)
        return TokenRows(ids, self._types(sizes), offsets)

    def _types(self, sizes: NDArray[np.int64]) -> NDArray[np.int8]:
        """Return each token's segment: runs of one for special tokens, of its size for a text."""
        before, between, after = self.types
        run = np.concatenate((before, [self.query_type], between, [self.document_type], after))
        lengths = np.ones((len(sizes), len(run)), dtype=np.int64)
        lengths[:, len(before)] = sizes[:, 0]
        lengths[:, len(before) + 1 + len(between)] = sizes[:, 1]
        return np.repeat(np.tile(run.astype(np.int8), len(sizes)), lengths.ravel())


def _is_frame(first: NDArray[Any], second: NDArray[Any], segment: NDArray[Any]) -> bool:
    """Whether the texts are there, whole and in order."""
    return (
        len(first) > 0
        and len(second) > 0
        and bool((np.diff(first) == 1).all() and (np.diff(second) == 1).all())
        and first[-1] < second[0]
        and set(segment.tolist()) <= {-1, 0, 1}
    )
