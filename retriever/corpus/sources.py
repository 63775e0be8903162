"""From what the user names (files, folders, BEIR folders, "-") to sources of a known format."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias, get_args

from twopass.retriever.errors import CorpusError

__all__ = [
    "STDIN",
    "BeirFolder",
    "Format",
    "PathLike",
    "Source",
    "find_sources",
]


@dataclass(frozen=True, slots=True)
class BeirFolder:
    """A collection in BEIR's layout: finds its files.

    Raises:
        CorpusError: when a file that is asked for is not there.

    """

    path: Path

    @staticmethod
    def looks_like(path: Path) -> bool:
        """Tell whether the folder holds a BEIR corpus."""
        return _plain_or_gzipped(path / "corpus.jsonl") is not None

    @property
    def corpus(self) -> Path:
        """The documents' file."""
        return self._find("corpus.jsonl")

    @property
    def queries(self) -> Path:
        """The queries' file."""
        return self._find("queries.jsonl")

    @property
    def splits(self) -> list[str]:
        """The names of the judged splits, sorted."""
        files = [*self.path.glob("qrels/*.tsv"), *self.path.glob("qrels/*.tsv.gz")]
        return sorted({file.name.removesuffix(".gz").removesuffix(".tsv") for file in files})

    def qrels(self, split: str) -> Path:
        """Find the judgements of one split (``train``, ``dev``, ``test``)."""
        if split not in self.splits:
            there = ", ".join(self.splits) or "none"
            raise CorpusError(
                f"{self.path}: expected the split {split!r} (qrels/{split}.tsv), found: {there}"
            )
        return self._find(f"qrels/{split}.tsv")

    def _find(self, name: str) -> Path:
        if found := _plain_or_gzipped(self.path / name):
            return found
        raise CorpusError(
            f"{self.path}: expected a BEIR folder with {name} or {name}.gz, found neither"
        )


def _plain_or_gzipped(path: Path) -> Path | None:
    gzipped = path.with_name(f"{path.name}.gz")
    return next((candidate for candidate in (path, gzipped) if candidate.is_file()), None)


Format: TypeAlias = Literal["jsonl", "csv", "tsv", "parquet", "beir"]
PathLike: TypeAlias = str | os.PathLike[str]

STDIN = "-"

_ENDINGS: dict[str, Format] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".csv": "csv",
    ".tsv": "tsv",
    ".parquet": "parquet",
}


@dataclass(frozen=True, slots=True)
class Source:
    """One file, or standard input where ``path`` is None, and the format to read it as."""

    path: Path | None
    format: Format

    @property
    def name(self) -> str:
        """What messages call it."""
        return "standard input" if self.path is None else str(self.path)

    def place(self, number: int) -> str:
        """Name the line or row of this number, from 1, for messages."""
        return f"{self.name}, {'row' if self.format == 'parquet' else 'line'} {number}"


def find_sources(paths: PathLike | Sequence[PathLike], kind: Format | None) -> list[Source]:
    """Name every file to read, in the order given; a folder's files sorted by path.

    Args:
        paths: files, folders, or "-" for standard input.
        kind: how to read them; None goes by each file's ending (standard input: JSON Lines).

    Raises:
        CorpusError: when a path does not exist, or its format is unknown.

    """
    if kind is not None and kind not in get_args(Format):
        raise CorpusError(f"format {kind!r}: expected one of {', '.join(get_args(Format))}")
    given = [paths] if isinstance(paths, str | os.PathLike) else paths
    return [source for path in given for source in _expand(path, kind)]


def _expand(path: PathLike, kind: Format | None) -> Iterator[Source]:
    if os.fspath(path) == STDIN:
        yield Source(None, kind or "jsonl")
        return
    path = Path(path)
    if path.is_dir():
        yield from _folder(path, kind)
    elif not path.exists():
        raise CorpusError(f"{path}: expected a file or folder, found nothing there")
    elif kind == "beir":
        raise CorpusError(f"{path}: expected a BEIR folder, found a file (read it as jsonl)")
    else:
        yield Source(path, kind or _known(path))


def _folder(folder: Path, kind: Format | None) -> Iterator[Source]:
    # A BEIR folder also holds queries: they are no documents.
    if kind == "beir" or (kind is None and BeirFolder.looks_like(folder)):
        yield Source(BeirFolder(folder).corpus, "jsonl")
        return
    found = [
        Source(path, ending)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not _is_hidden(path.relative_to(folder))
        if (ending := _ending(path)) and kind in (None, ending)
    ]
    if not found:
        raise CorpusError(
            f"{folder}: expected files that end in {_known_endings()} (or these with .gz), "
            "found none in the folder"
        )
    yield from found


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _ending(path: Path) -> Format | None:
    name = path.name.lower().removesuffix(".gz")
    return _ENDINGS.get(Path(name).suffix)


def _known(path: Path) -> Format:
    if kind := _ending(path):
        return kind
    raise CorpusError(
        f"{path}: expected a name that ends in {_known_endings()} (or these with .gz); "
        f"give the format of others ({', '.join(get_args(Format))}) with --format or format="
    )


def _known_endings() -> str:
    return ", ".join(_ENDINGS)
