"""The manifest: one JSON file that says which files are the index.

It is replaced as a whole, so that a commit is there or is not. What it does not name is not part
of the index.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from twopass.retriever.errors import CorruptIndexError, FormatError
from twopass.retriever.index.fields import FieldWeights

__all__ = ["FILE_NAME", "FORMAT", "FileRecord", "Manifest", "SegmentRecord"]

FILE_NAME = re.compile(r"(segment|deletes|run)-(\d+)", re.ASCII)
"""How the files of an index are named. A manifest that names another could reach outside."""

FORMAT = 1
"""The version of the layout that this code writes, and the only one that it reads."""


@dataclass(frozen=True, slots=True)
class FileRecord:
    """One file of the index.

    Attributes:
        name: in the index's folder.
        size: in bytes.
        checksum: CRC-32 of the file's directory, which holds those of its arrays.

    """

    name: str
    size: int
    checksum: int


@dataclass(frozen=True, slots=True)
class SegmentRecord:
    """One segment: its arrays and, where documents of it were deleted, which."""

    file: FileRecord
    deletes: FileRecord | None = None

    def files(self) -> Iterator[FileRecord]:
        """Yield the files of the segment."""
        yield self.file
        if self.deletes is not None:
            yield self.deletes


@dataclass(frozen=True, slots=True)
class Manifest:
    """What an index is at one commit.

    Attributes:
        analyzer: how its terms were made.
        scoring: the formula that a search uses unless it names another.
        weights: how often each field of a document counts.
        generation: how many commits led here.
        segments: oldest first; documents are numbered through them in this order.

    """

    analyzer: Any
    scoring: dict[str, Any]
    weights: FieldWeights = field(default_factory=FieldWeights)
    generation: int = 0
    segments: tuple[SegmentRecord, ...] = ()

    def next(self, segments: tuple[SegmentRecord, ...]) -> Manifest:
        """Return the manifest of the commit after this one."""
        return replace(self, generation=self.generation + 1, segments=segments)

    def files(self) -> Iterator[FileRecord]:
        """Yield every file that belongs to the index."""
        for segment in self.segments:
            yield from segment.files()

    def names(self) -> set[str]:
        """Return the names of those files."""
        return {file.name for file in self.files()}

    def to_bytes(self) -> bytes:
        """Return the file's content."""
        body = {"format": FORMAT, **asdict(self)}
        return json.dumps({**body, "checksum": _checksum(body)}, indent=1).encode()

    @classmethod
    def from_bytes(cls, data: bytes, path: object) -> Manifest:
        """Read the file's content.

        Raises:
            FormatError: when another version wrote it.
            CorruptIndexError: when it is damaged.

        """
        try:
            body = json.loads(data)
            version, checksum = body["format"], body.pop("checksum")
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise _damaged(path, f"it is not a manifest: {error!r:.80}") from error
        if version != FORMAT:
            raise FormatError(
                f"{path}: expected an index of format {FORMAT}, found format {version!r}; "
                "upgrade twopass, or build the index again with this version"
            )
        if checksum != _checksum(body):
            raise _damaged(path, "its content does not have the checksum that it names")
        segments = tuple(_segment(segment) for segment in body["segments"])
        for name in (file.name for segment in segments for file in segment.files()):
            if not isinstance(name, str) or not FILE_NAME.fullmatch(name):
                raise _damaged(path, f"it names the file {name!r:.80}, which no index writes")
        return cls(
            analyzer=body["analyzer"],
            scoring=body["scoring"],
            weights=FieldWeights(**body["weights"]),
            generation=body["generation"],
            segments=segments,
        )


def _segment(record: dict[str, Any]) -> SegmentRecord:
    deletes = record["deletes"]
    return SegmentRecord(FileRecord(**record["file"]), FileRecord(**deletes) if deletes else None)


def _checksum(body: dict[str, Any]) -> int:
    return zlib.crc32(json.dumps(body, sort_keys=True).encode())


def _damaged(path: object, what: str) -> CorruptIndexError:
    return CorruptIndexError(
        f"{path}: expected a whole manifest, but {what}; "
        "restore the folder from a copy or build the index again"
    )
