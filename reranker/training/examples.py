"""Training examples: a query with passages, and their labels or scores.

All formats of training data become this one: a pair with a label is a list of one, a triple a list
of a positive and a negative.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import IO, Any

from twopass.reranker.contract.errors import ExamplesError

__all__ = ["Example", "as_pairs", "from_records", "read_examples", "write_examples"]

_QUERY = ("query", "question", "anchor")
_PASSAGE = ("passage", "document", "answer", "response")
_PASSAGES = ("passages", "documents")
_FORMS = (
    '{"query", "passage", "label"}, {"query", "positive", "negative"}, '
    '{"query", "positive", "negatives": [...]} or '
    '{"query", "passages": [...], "labels": [...] and/or "scores": [...]}'
)


@dataclass(frozen=True, slots=True)
class Example:
    """One query with its list of passages.

    Attributes:
        query: the query's text.
        passages: (s,) texts, at least one.
        labels: (s,) relevance, 0 or below if not relevant; empty without judgements.
        scores: (s,) a teacher's scores, on any scale; empty without a teacher.

    Raises:
        ExamplesError: when the columns have different lengths, are empty or contain no numbers.

    """

    query: str
    passages: tuple[str, ...]
    labels: tuple[float, ...] = ()
    scores: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.query, str) or not all(isinstance(p, str) for p in self.passages):
            raise ExamplesError(f"expected a query and passages of text, found {self.query!r:.60}")
        if not self.passages or not (self.labels or self.scores):
            raise ExamplesError(
                f"query {self.query!r:.60}: expected passages with labels or scores, found none"
            )
        for name, column in (("labels", self.labels), ("scores", self.scores)):
            if column and len(column) != len(self.passages):
                raise ExamplesError(
                    f"query {self.query!r:.60}: expected one of {name} for each of "
                    f"{len(self.passages)} passages, found {len(column)}"
                )
            if not all(isfinite(value) for value in column):
                raise ExamplesError(
                    f"query {self.query!r:.60}: expected finite {name}, found {column!r:.80}"
                )

    @property
    def positives(self) -> int:
        """The number of passages labelled relevant."""
        return sum(label > 0 for label in self.labels)


def as_pairs(examples: Iterable[Example]) -> list[Example]:
    """Return lists of one passage each, in order, for losses over pairs."""
    return [
        Example(e.query, (p,), e.labels[at : at + 1], e.scores[at : at + 1])
        for e in examples
        for at, p in enumerate(e.passages)
    ]


def read_examples(path: str | Path) -> list[Example]:
    """Read JSON Lines, plain or gzipped, in any of the formats of ``from_records``.

    Raises:
        ExamplesError: when the file cannot be read, a line is of no known form, or there is none.

    """
    path = Path(path)
    try:
        with _opened(path) as lines:
            examples = from_records(_parsed(lines), name=str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise ExamplesError(f"{path}: expected a file of examples: {error}") from error
    if not examples:
        raise ExamplesError(f"{path}: expected examples, one JSON object a line, found none")
    return examples


def write_examples(path: Path, examples: Iterable[Example]) -> None:
    """Write lists in the format of ``read_examples``, gzipped if the name ends in .gz."""
    part = path.with_name(f"{path.name}.part")
    zipped = path.suffix == ".gz"
    with gzip.open(part, "wt") if zipped else part.open("w", encoding="utf-8") as out:
        for e in examples:
            columns = {"labels": e.labels, "scores": e.scores}
            given = {name: column for name, column in columns.items() if column}
            record = {"query": e.query, "passages": e.passages, **given}
            out.write(json.dumps(record) + "\n")
    part.replace(path)


def from_records(records: Iterable[Mapping[str, Any]], *, name: str = "examples") -> list[Example]:
    """Return examples from objects of these formats, which may be mixed.

    ``{"query", "passage", "label"}`` (pairs of one query become one list), ``{"query", "positive",
    "negative"}``, ``{"query", "positive", "negatives": [...]}``, and ``{"query", "passages": [...],
    "labels": [...], "scores": [...]}`` with labels, a teacher's scores or both. ``question`` and
    ``anchor`` are taken for ``query``; ``document``, ``answer`` and ``response`` for ``passage``.

    Raises:
        ExamplesError: when an object is of no such form; it names the record's number.

    """
    examples: list[Example] = []
    pairs: dict[str, list[tuple[str, float]]] = {}
    for number, record in enumerate(records, 1):
        try:
            query = _one(record, _QUERY)
            if "label" in record:
                pairs.setdefault(query, []).append((_one(record, _PASSAGE), float(record["label"])))
            else:
                examples.append(_listed(query, record))
        except (KeyError, TypeError, ValueError, ExamplesError) as error:
            problem = error if isinstance(error, ExamplesError) else f"expected one of {_FORMS}"
            raise ExamplesError(
                f"{name}, record {number}: {problem}; found {record!r:.120}"
            ) from error
    for query, judged in pairs.items():
        passages, labels = zip(*judged, strict=True)
        examples.append(Example(query, passages, labels))
    return examples


def _listed(query: str, record: Mapping[str, Any]) -> Example:
    if "positive" in record:
        negatives = record["negatives"] if "negatives" in record else [record["negative"]]
        passages = (record["positive"], *_texts(negatives))
        return Example(query, passages, (1.0, *[0.0] * len(negatives)))
    passages = _texts(_one(record, _PASSAGES))
    columns = [tuple(map(float, record.get(name) or ())) for name in ("labels", "scores")]
    return Example(query, passages, *columns)


def _texts(values: Any) -> tuple[str, ...]:
    if isinstance(values, str) or not isinstance(values, Sequence):
        raise ExamplesError(f"expected a list of texts, found {type(values).__name__}")
    return tuple(values)


def _one(record: Mapping[str, Any], names: Sequence[str]) -> Any:
    """Return the value of the first name that the record has.

    Raises:
        KeyError: when none is.

    """
    return record[next((name for name in names if name in record), names[0])]


def _opened(path: Path) -> IO[str]:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8")
    return path.open(encoding="utf-8")


def _parsed(lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except ValueError as error:
            raise ExamplesError(f"line {number}: expected JSON, found {line!r:.80}") from error
        if not isinstance(record, dict):
            raise ExamplesError(f"line {number}: expected a JSON object, found {line!r:.80}")
        yield record
