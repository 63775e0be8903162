"""Pairs -> token ids: every distinct text tokenised once, and the query never cut for the document.

A pair's row is what the model's tokeniser itself would give, token for token: the texts' own
tokens, set into the tokeniser's template of special tokens. Putting rows together here rather than
there is what lets a text be tokenised once however many pairs it is in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from twopass.reranker.contract.errors import InputError, ModelError, QueryTooLongError
from twopass.reranker.contract.inputs import check_unicode
from twopass.reranker.text.row_store import find_tokens
from twopass.reranker.text.template import Ids, PairTemplate, border_of, clip
from twopass.reranker.text.tokens import TokenizedText, TokenRows

__all__ = ["EncodedPairs", "PairEncoder"]

_CHARACTERS_PER_TOKEN = 8  # more than ordinary prose has; a text of longer words is cut later


@dataclass(frozen=True, slots=True, eq=False)
class EncodedPairs:
    """Pairs as a model reads them.

    Attributes:
        rows: m rows of token ids, one for each distinct pair.
        row_of: (n,) int64: which row is each pair's; equal pairs share one, and so a score.
        truncated: (n,) bool: whether a text of the pair was cut to fit.

    """

    rows: TokenRows
    row_of: NDArray[np.int64]
    truncated: NDArray[np.bool_]


class PairEncoder:
    """Turns pairs into rows of token ids; safe to call from several threads.

    Args:
        tokenizer: the model's; it is copied, so that settings made elsewhere do not reach it.
        max_length: tokens a row at most, special ones included.
        max_query_length: tokens a query at most: longer ones are cut. By default none is ever cut,
            and a query that leaves no room for a document is an error.
        cut_left: whether texts lose their beginning rather than their end, as some tokenisers ask.
        stored: a folder of token ids that were computed before, see
            :func:`~twopass.reranker.text.row_store.store_tokens`; ids of other tokenisers are
            passed over.

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
        stored: Path | None = None,
    ) -> None:
        self._tokenizer = Tokenizer.from_str(tokenizer.to_str())
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._stored = None if stored is None else find_tokens(stored, self._tokenizer)
        self._template = PairTemplate.of(self._tokenizer)
        self._border = None if cut_left else border_of(self._tokenizer)
        self._cut_left = cut_left
        self._room = max_length - self._template.size
        self.max_length = max_length
        self.max_query_length = max_query_length
        least = 1 if max_query_length is None else max_query_length
        if not 1 <= least < self._room:
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
        numbers = {pair: row for row, pair in enumerate(dict.fromkeys(pairs))}
        queries, documents = self._read(pairs, first)
        self._check_queries(pairs, queries, first)
        whole = [(queries[query], documents[document]) for query, document in numbers]
        fitted = [self._fitted(*texts) for texts in whole]
        cut = np.array(
            [_size(a) > _size(b) for a, b in zip(whole, fitted, strict=True)], dtype=bool
        )
        rows = self._template.framed(fitted)
        row_of = np.array([numbers[pair] for pair in pairs], dtype=np.int64)
        _check_tokens(rows.lengths[row_of], first)
        return EncodedPairs(rows, row_of, cut[row_of])

    @property
    def room(self) -> int:
        """How many tokens a query and a document may have together."""
        return self._room

    def count(self, pairs: Sequence[tuple[str, str]]) -> int:
        """Return how many tokens the model reads of these pairs, all together.

        Raises:
            InputError: as :meth:`encode`.

        """
        encoded = self.encode(pairs)
        return int(encoded.rows.lengths[encoded.row_of].sum())

    def clipped(self, texts: Sequence[str], tokens: int) -> list[str]:
        """Return the texts, each cut to so many tokens at most.

        Raises:
            InputError: when a text is no valid Unicode.

        """
        distinct = list(dict.fromkeys(texts))
        cut = {
            text: text[: int(found.ends[tokens - 1])] if len(found) > tokens else text
            for text, found in zip(distinct, self.tokenized(distinct), strict=True)
        }
        return [cut[text] for text in texts]

    def tokenized(self, texts: Sequence[str]) -> list[TokenizedText]:
        """Return each text's own tokens, to its end, with their positions.

        Raises:
            InputError: when a text is no valid Unicode.

        """
        try:
            encodings = self._tokenizer.encode_batch(list(texts), add_special_tokens=False)
        except TypeError as error:
            check_unicode([("", text) for text in texts])
            raise InputError(f"expected texts that the tokenizer takes: {error}") from error
        return [TokenizedText.of(encoding) for encoding in encodings]

    def _read(
        self, pairs: Sequence[tuple[str, str]], first: int
    ) -> tuple[dict[str, Ids], dict[str, Ids]]:
        """Tokenise the distinct queries and the distinct documents."""
        try:
            queries = self._tokens({query for query, _ in pairs}, self._room)
            documents = self._tokens({document for _, document in pairs}, self._room)
        except TypeError as error:
            check_unicode(pairs, first)
            raise InputError(f"expected texts that the tokenizer takes: {error}") from error
        return queries, documents

    def _tokens(self, texts: set[str], enough: int) -> dict[str, Ids]:
        """Tokenise each text, without special tokens, as far as it takes to have more than enough.

        A text that was not read to its end has more than enough tokens, so that a caller that cuts
        it to enough knows that something was left out.
        """
        tokens = self._known(list(texts))
        waiting = [text for text in texts if text not in tokens]
        characters = _CHARACTERS_PER_TOKEN * (enough + 1)
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

    def _known(self, texts: list[str]) -> dict[str, Ids]:
        """Look up which texts' tokens were stored."""
        if self._stored is None:
            return {}
        rows = zip(texts, self._stored.find(texts), strict=True)
        return {text: ids.astype(np.int32) for text, ids in rows if ids is not None}

    def _clipped(self, text: str, characters: int) -> str:
        return text if self._border is None else clip(text, characters, self._border)

    def _fitted(self, query: Ids, document: Ids) -> tuple[Ids, Ids]:
        """Cut the document, and the query only as far as the caller wants it."""
        query = self._cut(query, self.max_query_length or self._room)
        return query, self._cut(document, self._room - len(query))

    def _cut(self, ids: Ids, size: int) -> Ids:
        if len(ids) <= size:
            return ids
        return ids[len(ids) - size :] if self._cut_left else ids[:size]

    def _check_queries(
        self, pairs: Sequence[tuple[str, str]], queries: dict[str, Ids], first: int
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


def _size(texts: tuple[Ids, Ids]) -> int:
    return len(texts[0]) + len(texts[1])


def _check_tokens(lengths: NDArray[np.int64], first: int) -> None:
    """Refuse pairs without a token, which only models without special tokens can meet."""
    empty = np.flatnonzero(lengths == 0)
    if len(empty):
        raise InputError(
            f"pair {first + empty[0]}: expected at least one token, found two empty texts"
        )
