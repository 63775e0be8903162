"""Where a BEIR folder keeps what: corpus.jsonl, queries.jsonl, qrels/SPLIT.tsv, each maybe .gz."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from retriever.base import CorpusError

__all__ = ["BeirFolder"]


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
