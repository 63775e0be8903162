"""What stands on both sides of a split, so that a measurement would tell of memory."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pipeline.training.collection import Collection
from reranker.training.examples import Example

__all__ = ["Leaks", "find_leaks"]

_WORDS = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Leaks:
    """What training and development have in common.

    Attributes:
        queries: shared queries, but for case and punctuation.
        passages: passages that are relevant for a development query and for a training one.
        seen: passages that are relevant for a development query and are anywhere in training.

    """

    queries: frozenset[str] = frozenset()
    passages: frozenset[str] = frozenset()
    seen: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.queries or self.passages)

    def account(self) -> str:
        """Say it in a sentence."""
        if not (self or self.seen):
            return "No query and no relevant passage of the development queries is in training."
        return (
            f"Of the development queries' side, training has {len(self.queries)} queries, "
            f"{len(self.passages)} passages as relevant ones and {len(self.seen)} passages in all."
        )

    def without(self, examples: Iterable[Example]) -> list[Example]:
        """Return the examples whose query and relevant passages are not shared."""
        return [
            e
            for e in examples
            if _plain(e.query) not in self.queries
            and not any(_plain(p) in self.passages for p in _relevant(e))
        ]


def find_leaks(examples: Sequence[Example], development: Iterable[Collection]) -> Leaks:
    """Compare the examples with queries and relevant documents of development splits."""
    queries, passages = set[str](), set[str]()
    for collection in development:
        queries |= {_plain(text) for text in collection.queries.values()}
        relevant = {d for g in collection.qrels.values() for d, grade in g.items() if grade > 0}
        passages |= {_plain(d.contents) for d in collection.documents if d.id in relevant}
    taught = {_plain(p) for e in examples for p in _relevant(e)}
    read = {_plain(p) for e in examples for p in e.passages} if passages else set[str]()
    return Leaks(
        frozenset(queries & {_plain(e.query) for e in examples}),
        frozenset(passages & taught),
        frozenset(passages & read),
    )


def _relevant(example: Example) -> list[str]:
    judged = zip(example.passages, example.labels, strict=False)
    return [passage for passage, label in judged if label > 0]


def _plain(text: str) -> str:
    """Return the words alone: what differs in case, punctuation or spaces is the same."""
    return " ".join(_WORDS.findall(text.casefold()))
