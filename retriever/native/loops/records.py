"""What loops take together: named tuples of arrays; in a declaration, of dtypes."""

from __future__ import annotations

from typing import Any, NamedTuple

__all__ = [
    "Block",
    "Impacts",
    "Lists",
    "Pairs",
    "Plan",
    "Queries",
    "Source",
    "Tables",
    "Target",
    "Top",
    "Words",
    "Work",
]


class Lists(NamedTuple):
    """A segment's postings; see ``twopass.retriever.index.postings.Postings``."""

    starts: Any
    docs: Any
    codes: Any
    frontier_starts: Any
    frontier_codes: Any
    column_terms: Any
    columns: Any
    n_docs: Any


class Impacts(NamedTuple):
    """What each code is worth: ``of_code`` (c,), and in a column ``of_place`` (c + 1,), 0 first."""

    of_code: Any
    of_place: Any


class Queries(NamedTuple):
    """The terms of q queries, one after another; see ``retriever.index.term_search.Batch``."""

    terms: Any
    weights: Any
    offsets: Any


class Work(NamedTuple):
    """What a search writes to: see ``twopass.retriever.index.term_search.Scratch``.

    ``scores`` (n,) has a document's sum so far, 0 where nothing was added; ``candidates`` (n + 1,)
    begins with the documents of which a sum is kept. ``scores`` and ``seen`` are all zeros before
    and after. The others have a place for each term of a query, ``rest`` one more, and ``counts``
    some hundreds.
    """

    scores: Any
    candidates: Any
    seen: Any
    weights: Any
    begins: Any
    ends: Any
    columns: Any
    rest: Any
    counts: Any


class Plan(NamedTuple):
    """A query's terms that a segment has, in the order in which they are added: (m,) each.

    ``begins`` and ``ends`` say which postings are theirs, and ``begins`` moves on with the windows;
    ``columns`` where each one's column starts, -1 for a term without; ``rest`` (m + 1,) bounds
    what the terms from each on can add.
    """

    weights: Any
    begins: Any
    ends: Any
    columns: Any
    rest: Any


class Top(NamedTuple):
    """The best k documents of each of q queries so far, as heaps: (q * k,), (q * k,) and (q,)."""

    docs: Any
    scores: Any
    sizes: Any


class Tables(NamedTuple):
    """A tokenizer's automaton; see ``twopass.retriever.analysis.tokenizer.Tables``."""

    classes: Any
    steps: Any
    accepting: Any
    width: Any


class Words(NamedTuple):
    """A table of w distinct words.

    ``slots`` (2^s,) holds pairs, by hash with linear probing: a word's key, 0 where free, and its
    number; at most half of them are taken. ``starts`` (w + 1,) says where each word's characters
    begin, with the end, and ``letters`` (c,) has the words' code points.
    """

    slots: Any
    starts: Any
    letters: Any


class Block(NamedTuple):
    """Some words of a text: (b,) where each starts and stops, and its key."""

    starts: Any
    stops: Any
    keys: Any


class Pairs(NamedTuple):
    """A table of distinct pairs (tf, length), by hash with linear probing.

    ``slots`` (2^s,) has the pairs' numbers, -1 where free; ``keys`` the pairs, tf above length, and
    ``counts`` how often each came: both half as long.
    """

    slots: Any
    keys: Any
    counts: Any


class Source(NamedTuple):
    """A segment that is merged: its postings, and what becomes of terms, documents and codes.

    ``terms`` has each term's new id, -1 for one that is gone; ``alive`` is 0 for a document that
    is, ``renumbered`` has each one's new number and ``ranks`` each code's new code.
    """

    starts: Any
    docs: Any
    codes: Any
    terms: Any
    alive: Any
    renumbered: Any
    ranks: Any


class Target(NamedTuple):
    """Merged postings, and where those of each term go on."""

    docs: Any
    codes: Any
    cursors: Any
