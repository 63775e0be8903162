"""Pairs -> token ids: every distinct text tokenised once, and the query never cut for the document.

A pair's row is what the model's tokeniser itself would give, token for token: the texts' own
tokens, set into the tokeniser's template of special tokens. Putting rows together here rather than
there is what lets a text be tokenised once however many pairs it is in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from reranker.base import InputError, ModelError, QueryTooLongError
from reranker.clipping import border_of, clip
from reranker.inputs import check_unicode
from reranker.tokens import TokenRows

__all__ = ["EncodedPairs", "PairEncoder", "PairTemplate"]

_Ids = NDArray[np.int32]

_CHARACTERS_PER_TOKEN = 8  # more than ordinary prose has; a text of longer words is cut later


@dataclass(frozen=True, slots=True, eq=False)
class EncodedPairs:
    """Pairs as a model reads them.

    Attributes:
        rows: n rows of token ids.
        truncated: (n,) bool: whether a text of the pair was cut to fit.

    """

    rows: TokenRows
    truncated: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class PairTemplate:
    """The special tokens around and between the two texts of a pair.

    Attributes:
        ids: before the query, between the texts, after the document: int32 ids.
        types: the segment numbers of those three, and of the query and the document.

    """

    ids: tuple[_Ids, _Ids, _Ids]
    types: tuple[_Ids, _Ids, _Ids]
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
        gaps = (
            slice(0, first[0]),
            slice(first[-1] + 1, second[0]),
            slice(second[-1] + 1, len(ids)),
        )
        before, between, after = gaps
        return cls(
            ids=(ids[before], ids[between], ids[after]),
            types=(types[before], types[between], types[after]),
            query_type=int(types[first[0]]),
            document_type=int(types[second[0]]),
        )


def _is_frame(first: NDArray[Any], second: NDArray[Any], segment: NDArray[Any]) -> bool:
    """Whether the texts are there, whole and in order."""
    return (
        len(first) > 0
        and len(second) > 0
        and bool((np.diff(first) == 1).all() and (np.diff(second) == 1).all())
        and first[-1] < second[0]
        and set(segment.tolist()) <= {-1, 0, 1}
    )


class PairEncoder:
    """Turns pairs into rows of token ids; safe to call from several threads.

    Args:
        tokenizer: the model's; it is copied, so that nobody else's settings reach it.
        max_length: tokens a row at most, special ones included.
        max_query_length: tokens a query at most: longer ones are cut. By default none is ever cut,
            and a query that leaves no room for a document is an error.
        cut_left: whether texts lose their beginning rather than their end, as some tokenisers ask.

    Raises:
        ModelError: when the lengths leave no room for a query and a document.

    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        max_length: int,
        *,
        max_query_length: int | None = None,
        cut_left: bool = False,
    ) -> None:
        self._tokenizer = Tokenizer.from_str(tokenizer.to_str())
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._template = PairTemplate.of(self._tokenizer)
        self._border = None if cut_left else border_of(self._tokenizer)
        self._cut_left = cut_left
        self._room = max_length - self._template.size
        self.max_length = max_length
        self.max_query_length = max_query_length
        if self._room - (max_query_length or 1) < 1 or (max_query_length or 1) < 1:
            raise ModelError(
                f"expected room for a query and a document beside {self._template.size} special "
                f"tokens, found max_length={max_length}, max_query_length={max_query_length}"
            )

    def encode(self, pairs: Sequence[tuple[str, str]], *, first: int = 0) -> EncodedPairs:
        """Return the rows of the pairs, in order.

        Args:
            pairs: (n,) of a query and a document each.
            first: the first pair's number in error messages.

        Raises:
            QueryTooLongError: when a query leaves no room for a document.
            InputError: when a text is no valid Unicode, or a pair has no tokens at all.

        """
        try:
            queries = self._tokens({query for query, _ in pairs}, self._room)
            documents = self._tokens({document for _, document in pairs}, self._room)
        except TypeError as error:
            check_unicode(pairs, first)
            raise InputError(f"expected texts that the tokenizer takes: {error}") from error
        self._check_queries(pairs, queries, first)
        parts, truncated = [], np.zeros(len(pairs), dtype=np.bool_)
        for position, (query, document) in enumerate(pairs):
            start = self._cut(queries[query], self.max_query_length or self._room)
            rest = self._cut(documents[document], self._room - len(start))
            truncated[position] = len(start) < len(queries[query]) or len(rest) < len(
                documents[document]
            )
            parts.append((start, rest))
        return EncodedPairs(self._framed(parts, first), truncated)

    def _tokens(self, texts: set[str], enough: int) -> dict[str, _Ids]:
        """Tokenise each text, without special tokens, as far as it takes to have more than enough.

        A text that was not read to its end has more than enough tokens, so that whoever cuts it
        down to enough knows that something was left out.
        """
        tokens: dict[str, _Ids] = {}
        waiting, characters = list(texts), _CHARACTERS_PER_TOKEN * (enough + 1)
        while waiting:
            read = [self._clipped(text, characters) for text in waiting]
            encodings = self._tokenizer.encode_batch_fast(read, add_special_tokens=False)
            unread = []
            for text, part, encoding in zip(waiting, read, encodings, strict=True):
                if len(part) < len(text) and len(encoding) <= enough:
                    unread.append(text)
                else:
                    tokens[text] = np.array(encoding.ids, dtype=np.int32)
            waiting, characters = unread, 8 * characters
        return tokens

    def _clipped(self, text: str, characters: int) -> str:
        return text if self._border is None else clip(text, characters, self._border)

    def _cut(self, ids: _Ids, size: int) -> _Ids:
        if len(ids) <= size:
            return ids
        return ids[len(ids) - size :] if self._cut_left else ids[:size]

    def _check_queries(
        self, pairs: Sequence[tuple[str, str]], queries: dict[str, _Ids], first: int
    ) -> None:
        if self.max_query_length is not None:
            return
        too_long = {query for query, ids in queries.items() if len(ids) >= self._room}
        for position, (query, _) in enumerate(pairs, first):
            if query in too_long:
                raise QueryTooLongError(
                    f"pair {position}: expected a query of fewer than {self._room} tokens, so that "
                    f"the model's {self.max_length} have room for a document, found "
                    f"{query[:60]!r}... of {len(query)} characters; shorten it, or pass "
                    "max_query_length= to have queries cut"
                )

    def _framed(self, texts: Sequence[tuple[_Ids, _Ids]], first: int) -> TokenRows:
        """Set each query and document into the template."""
        template, n = self._template, len(texts)
        before, between, after = template.ids
        flat = [p for query, document in texts for p in (before, query, between, document, after)]
        sizes = np.array([[len(q), len(d)] for q, d in texts], dtype=np.int64).reshape(n, 2)
        offsets = np.zeros(n + 1, dtype=np.int64)
        np.cumsum(sizes.sum(axis=1) + template.size, out=offsets[1:])
        ids = np.concatenate(flat) if flat else np.zeros(0, dtype=np.int32)
        rows = TokenRows(ids, self._types(sizes), offsets)
        if n and int(rows.lengths.min()) == 0:
            empty = first + int(rows.lengths.argmin())
            raise InputError(f"pair {empty}: expected at least one token, found two empty texts")
        return rows

    def _types(self, sizes: NDArray[np.int64]) -> NDArray[np.int8]:
        """Number the segments: runs of one for special tokens, of a text's size for a text."""
        before, between, after = self._template.types
        query, document = self._template.query_type, self._template.document_type
        run = np.concatenate((before, [query], between, [document], after)).astype(np.int8)
        lengths = np.ones((len(sizes), len(run)), dtype=np.int64)
        lengths[:, len(before)] = sizes[:, 0]
        lengths[:, len(before) + 1 + len(between)] = sizes[:, 1]
        return np.repeat(np.tile(run, len(sizes)), lengths.ravel())
