"""A run in a file -> shards: whole queries, some thousand pairs each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import BulkError

__all__ = ["Shard", "find_shards"]


@dataclass(frozen=True, slots=True)
class Shard:
    """A part of a run's file.

    Attributes:
        number: which one, from 0.
        start: its first byte in the file.
        stop: the byte behind its last.
        line: the number of its first line, from 1.
        pairs: how many lines of a run it has.

    """

    number: int
    start: int
    stop: int
    line: int
    pairs: int

    @property
    def name(self) -> str:
        """What its result is called."""
        return f"part-{self.number:06}.trec"


def find_shards(run: Path, size: int) -> Iterator[Shard]:
    """Yield the shards of a run, in order; the file is read once, line by line.

    A query's lines stay together, so that a shard has as many more pairs than asked for as its
    last query takes.

    Args:
        run: a TREC run, plain text; a query's lines follow each other, as all tools write them.
        size: pairs a shard at least, but for the last.

    Raises:
        BulkError: when a query's lines do not follow each other.

    """
    seen: set[bytes] = set()
    query, number, pairs = b"", 0, 0
    start, line = 0, 1
    with run.open("rb") as file:
        place = 0
        for here, text in enumerate(file, start=1):
            words = text.split(None, 1)
            if words:
                if words[0] != query:
                    query = _new(words[0], seen, run, here)
                    if pairs >= size:
                        yield Shard(number, start, place, line, pairs)
                        start, line, number, pairs = place, here, number + 1, 0
                pairs += 1
            place += len(text)
        if pairs:
            yield Shard(number, start, place, line, pairs)


def _new(query: bytes, seen: set[bytes], run: Path, line: int) -> bytes:
    if query in seen:
        raise BulkError(
            f"{run}, line {line}: expected a query's lines one after the other, found "
            f"{query.decode(errors='replace')!r} again; sort the file by its first column: "
            "sort -s -k1,1"
        )
    seen.add(query)
    return query
