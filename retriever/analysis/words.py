"""Analysers that turn each word into a term by itself: one text at a time, or many in threads.

Each thread has a table of the distinct words that it has met. Only a word that is new to it goes
through Python (lower case, stop words, stem), once; after that the word is a number.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from itertools import accumulate, pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twopass.retriever.analysis.analyzer import Analyzer, Encoder, Token
from twopass.retriever.analysis.token_filters import Step, chain
from twopass.retriever.analysis.tokenizer import Tables, load_tokenizer, without_surrogates
from twopass.retriever.native.function import Function
from twopass.retriever.native.loops import records
from twopass.retriever.native.loops.automaton import MAX_LENGTH

__all__ = [
    "WordAnalyzer",
    "WordEncoder",
]


# Below so many characters a thread has nothing to win.
_SHARE = 100_000

_BLOCK = 256  # words that are looked up together

_LOOPS = "twopass.retriever.native.loops.words"
_NUMBER = Function(
    f"{_LOOPS}:number",
    *("uint32[]", "int64[]"),
    records.Tables("uint8[]", "uint16[]", "int64", "int64"),
    records.Words("uint64[]", "int64[]", "uint32[]"),
    records.Block("int64[]", "int64[]", "uint64[]"),
    *("int64[]", "int32[]", "int64[]"),
)
_REHASH = Function(f"{_LOOPS}:rehash", "uint64[]", "uint64[]")
_SETTLE = Function(f"{_LOOPS}:settle", "int32[]", "int64[]", "int32[]", "int32[]", "int64[]")


class WordEncoder:
    """The encoder of an analyser whose terms depend on one word each; see ``Encoder``."""

    def __init__(self, tables: Tables, normalize: Step, *, threads: int = 1) -> None:
        self._lanes = [_Lane(tables) for _ in range(max(1, threads))]
        self._normalize = normalize
        self._ids: dict[str, int] = {"": -1}  # the dropped word, then the terms by their ids
        self._vocabulary: list[str] = []

    @property
    def vocabulary(self) -> Sequence[str]:
        """Every term met so far; a term's id is its place."""
        if len(self._vocabulary) < len(self._ids) - 1:
            self._vocabulary = list(self._ids)[1:]
        return self._vocabulary

    def encode(self, texts: Sequence[str]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """Analyse texts; see ``Encoder.encode``."""
        shares = _shares(texts, len(self._lanes))
        busy = self._lanes[: len(shares)]
        with ThreadPoolExecutor(len(shares)) as pool:
            run: Callable[..., Any] = pool.map if len(shares) > 1 else map
            numbered = list(run(_Lane.number, busy, shares))
            for lane in busy:  # in the texts' order, so that ids do not depend on timing
                self._learn(lane)
            parts = list(run(_Lane.settle, busy, numbered))
        return _joined(parts)

    def places(self, texts: Sequence[str]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """Analyse texts word by word: as ``encode``, but with -1 for a word that is dropped."""
        lane = self._lanes[0]
        words, offsets = lane.number(texts)
        self._learn(lane)
        return lane.ids[words], offsets

    def id_of(self, term: str) -> int:
        """Return a term's id; -2, which no word has, where it was not met."""
        return self._ids.get(term, -2)

    def _learn(self, lane: _Lane) -> None:
        """Give term ids to the words that are new to a lane."""
        terms = self._normalize(lane.fresh())
        ids = self._ids
        for term in terms:
            if term not in ids:
                ids[term] = len(ids) - 1
        lane.learn(np.fromiter(map(ids.__getitem__, terms), np.int32, len(terms)))


class _Lane:
    """One thread's table of words, and the term ids of those: ``ids`` (w,) int32."""

    def __init__(self, tables: Tables) -> None:
        self._tables = records.Tables(*tables.automaton)
        self._words = records.Words(
            slots=np.zeros(1 << 13, np.uint64),
            starts=np.zeros((1 << 11) + 1, np.int64),
            letters=np.empty(2 * _BLOCK * (MAX_LENGTH + 1), np.uint32),
        )
        self._block = records.Block(
            np.empty(_BLOCK, np.int64), np.empty(_BLOCK, np.int64), np.empty(_BLOCK, np.uint64)
        )
        self._known = 0
        self.ids = np.empty(0, dtype=np.int32)

    def number(self, texts: Sequence[str]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """Split texts: (t,) int32 word numbers, and (n + 1,) int64 where each text's begin."""
        codes = _code_points("".join(texts))
        bounds = np.fromiter(accumulate(map(len, texts), initial=0), np.int64, len(texts) + 1)
        found = np.empty(len(codes), dtype=np.int32)  # as many as there could be
        offsets = np.zeros(len(bounds), dtype=np.int64)
        progress = np.array([0, 0, 0, self._known], np.int64)
        while True:
            _NUMBER(
                *(codes, bounds, self._tables, self._words, self._block),
                *(progress, found, offsets),
            )
            done, _, count, self._known = progress.tolist()
            if done == len(texts):
                return found[:count], offsets
            self._grow()

    def _grow(self) -> None:
        """Make room for twice as many words, and letters."""
        slots, starts, letters = self._words
        larger = np.zeros(2 * len(slots), np.uint64)
        _REHASH(slots, larger)
        self._words = records.Words(
            larger, np.resize(starts, 2 * len(starts)), np.resize(letters, 2 * len(letters))
        )

    def fresh(self) -> list[str]:
        """Return the words that have no id yet."""
        bounds = self._words.starts[len(self.ids) : self._known + 1]
        text = self._words.letters[bounds[0] : bounds[-1]].tobytes().decode("utf-32")
        return [text[start:stop] for start, stop in pairwise((bounds - bounds[0]).tolist())]

    def learn(self, ids: NDArray[np.int32]) -> None:
        """Take the ids of the ``fresh`` words, -1 for none."""
        self.ids = np.concatenate([self.ids, ids])

    def settle(
        self, numbered: tuple[NDArray[np.int32], NDArray[np.int64]]
    ) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """Turn word numbers into term ids."""
        words, offsets = numbered
        terms, kept = np.empty_like(words), np.empty_like(offsets)
        _SETTLE(words, offsets, self.ids, terms, kept)
        return terms[: kept[-1]], kept


def _code_points(text: str) -> NDArray[np.uint32]:
    try:
        encoded = text.encode("utf-32")
    except UnicodeEncodeError:
        encoded = without_surrogates(text).encode("utf-32")
    return np.frombuffer(encoded, dtype=np.uint32)[1:]  # after the mark of the byte order


def _shares(texts: Sequence[str], lanes: int) -> list[Sequence[str]]:
    """Cut texts into consecutive parts of about the same size, at most one a lane."""
    ends = list(accumulate(map(len, texts), initial=0))
    parts = min(lanes, 1 + ends[-1] // _SHARE)
    cuts = np.searchsorted(ends, np.linspace(0, ends[-1], parts + 1)[1:-1]).tolist()
    return [texts[start:stop] for start, stop in pairwise([0, *cuts, len(texts)])]


def _joined(parts: Sequence[tuple[Any, Any]]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    if len(parts) == 1:
        return parts[0]
    shifts = accumulate((len(ids) for ids, _ in parts), initial=0)
    offsets = [part[1:] + shift for (_, part), shift in zip(parts, shifts, strict=False)]
    zero = np.zeros(1, dtype=np.int64)
    return np.concatenate([ids for ids, _ in parts]), np.concatenate([zero, *offsets])


_REMEMBERED = 1 << 14  # pieces of queries
_SHORT = 64  # characters of a piece that is remembered


class WordAnalyzer(Analyzer):
    """A tokenizer, and steps from its words to terms."""

    def __init__(self, name: str, tokenizer: str, steps: Sequence[Step] = ()) -> None:
        super().__init__(name)
        self.tokenizer = load_tokenizer(tokenizer)
        self.normalize = chain(steps)
        self._remembered = lru_cache(_REMEMBERED)(self._terms)

    def tokens(self, text: str) -> list[Token]:
        """Return the text's terms with their places."""
        text = without_surrogates(text)
        spans = [(start, end) for start, end, _ in self.tokenizer.spans(text)]
        terms = self.normalize([text[start:end] for start, end in spans])
        return [
            Token(term, start, end, position)
            for position, (term, (start, end)) in enumerate(zip(terms, spans, strict=True))
            if term
        ]

    def terms(self, text: str) -> list[str]:
        """Return the text's terms in order."""
        # No token has a space in it: each piece between two is analysed by itself, and once.
        found: list[str] = []
        for piece in without_surrogates(text).split(" "):
            found += self._remembered(piece) if len(piece) <= _SHORT else self._terms(piece)
        return found

    def _terms(self, piece: str) -> list[str]:
        words = [piece[start:end] for start, end, _ in self.tokenizer.spans(piece)]
        return [term for term in self.normalize(words) if term]

    def encoder(self, *, threads: int = 1) -> Encoder:
        """Return what analyses documents in bulk, with the same terms as ``terms``."""
        return WordEncoder(self.tokenizer.tables, self.normalize, threads=threads)
