"""The documents' texts: each one a compressed frame that is read alone.

A frame is one document's title, text and metadata, compressed by Zstandard with a dictionary
that is trained on the segment's first documents. On scientific abstracts that is about as small as
zlib over blocks of sixteen (0.40 of the raw bytes against 0.39) and reads one document in 3 µs
where unpacking such a block takes 110 µs. Zstandard's level 3 would make it 0.36 and take half as
long again to write. The documents of many hits are unpacked in one call, without the GIL.
"""

from __future__ import annotations

import json
import struct
from array import array
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from itertools import accumulate
from typing import Any

import numpy as np
import zstandard
from numpy.typing import NDArray

from twopass.retriever.corpus.documents import Document
from twopass.retriever.errors import CorpusError, CorruptIndexError, DuplicateIdError
from twopass.retriever.index.arrays import ArraySink
from twopass.retriever.index.strings import StringTable, cut, decode, encode, put_strings

__all__ = ["DocumentStore", "DocumentWriter", "unpack_metadata"]

_MAX_DEPTH = 100  # of nested metadata
_HEAD = struct.Struct("<II")  # bytes of the title, and of title and text as one
_SAMPLE_LEAST = 300  # documents; fewer do not pay for a dictionary
_SAMPLE_BYTES = 256 << 10  # of the first documents, which train it
_DICTIONARY_BYTES = 32 << 10
_LEVEL = 1
_BUFFER_BYTES = 1 << 20  # of frames that are compressed at a time
_AHEAD = 4  # times that many that wait for being written
_TOGETHER = 1024  # frames that are unpacked at a time


class DocumentWriter:
    """Writes documents one after another into a segment.

    Args:
        sink: the segment's.
        pool: where texts are compressed meanwhile, one at a time; ``None`` for at once.

    """

    def __init__(self, sink: ArraySink, pool: Executor | None = None) -> None:
        self._sink = sink
        self._pool = pool
        self._ids: dict[str, None] = {}  # in order
        self._sizes = array("q", [0])
        self._frames: list[bytes] = []
        self._waiting = 0
        self._compressing: deque[Future[tuple[bytes, list[int]]]] = deque()
        self._dictionary = b""
        self._compressor: zstandard.ZstdCompressor | None = None

    def __len__(self) -> int:
        return len(self._ids)

    def extend(self, documents: Sequence[Document]) -> None:
        """Write the next documents.

        Raises:
            DuplicateIdError: when one with an id of theirs was written already.
            CorpusError: when metadata are no JSON values.

        """
        ids = dict.fromkeys(document.id for document in documents)
        if len(ids) < len(documents) or not self._ids.keys().isdisjoint(ids):
            raise self._twice(documents)
        self._ids.update(ids)
        self._add(list(map(_pack, documents)))

    def add_frame(self, id: str, frame: bytes) -> None:
        """Write the next document as another store has it."""
        self._ids[id] = None
        self._add([frame])

    def _add(self, frames: Sequence[bytes]) -> None:
        self._frames += frames
        self._waiting += sum(map(len, frames))
        if self._waiting >= _BUFFER_BYTES:
            self._compress()

    def _twice(self, documents: Iterable[Document]) -> DuplicateIdError:
        seen = set(self._ids)
        for document in documents:
            if document.id in seen:
                break
            seen.add(document.id)
        return DuplicateIdError(
            f"expected each id once, found {document.id!r} twice; rename or drop one"
        )

    def finish(self) -> None:
        """Write what is left, and the table of ids."""
        self._compress()
        while self._compressing:
            self._write(*self._compressing.popleft().result())
        self._sink.put("documents.dictionary", np.frombuffer(self._dictionary, np.uint8))
        self._sink.put("documents.offsets", np.cumsum(self._sizes, dtype=np.int64))
        put_strings(self._sink, "ids", self._ids)

    def _compress(self) -> None:
        """Compress the frames that wait, in one call; the first ones train the dictionary."""
        frames, self._frames, self._waiting = self._frames, [], 0
        if self._compressor is None:
            trained = _train(frames)
            self._dictionary = trained.as_bytes() if trained else b""
            self._compressor = zstandard.ZstdCompressor(_LEVEL, dict_data=trained)
        if self._pool is None:
            self._write(*_compressed(self._compressor, frames))
            return
        self._compressing.append(self._pool.submit(_compressed, self._compressor, frames))
        while len(self._compressing) > _AHEAD or self._compressing[0].done():
            self._write(*self._compressing.popleft().result())
            if not self._compressing:
                break

    def _write(self, packed: bytes, sizes: Iterable[int]) -> None:
        self._sizes.extend(sizes)
        self._sink.append("documents.data", packed)


def _compressed(
    compressor: zstandard.ZstdCompressor, frames: Sequence[bytes]
) -> tuple[bytes, list[int]]:
    packed: Any = compressor.multi_compress_to_buffer(frames) if frames else ()  # type: ignore[arg-type]
    return b"".join(packed), list(map(len, packed))


def _train(frames: Sequence[bytes]) -> zstandard.ZstdCompressionDict | None:
    if len(frames) < _SAMPLE_LEAST:
        return None
    sizes = accumulate(map(len, frames))
    samples: list[Any] = [
        frame for frame, size in zip(frames, sizes, strict=True) if size <= _SAMPLE_BYTES
    ]
    # Without k and d many of them are tried, which takes ten times as long and gains nothing.
    # Zstandard refuses samples that are too short or too much alike to learn from.
    try:
        return zstandard.train_dictionary(_DICTIONARY_BYTES, samples, k=200, d=8)
    except zstandard.ZstdError:
        return None


def _pack(document: Document) -> bytes:
    title = document.title
    text = f"{title}\n{document.text}" if title else document.text
    contents = text.encode("utf-8", "surrogatepass")  # as ``encode``, without a call
    if not title and not document.metadata:
        return _HEAD.pack(0, len(contents)) + contents
    try:
        metadata = _json(document.metadata) if document.metadata else b""
    except (TypeError, ValueError, RecursionError) as error:
        raise CorpusError(
            f"document {document.id!r}: expected metadata of JSON values, found {error}"
        ) from error
    return _HEAD.pack(len(encode(title)), len(contents)) + contents + metadata


def _json(metadata: Mapping[str, Any]) -> bytes:
    """Return metadata as JSON.

    Raises:
        ValueError: when it is nested more deeply than any later reader is sure to manage.

    """
    written = json.dumps(dict(metadata)).encode()
    level: list[Any] = [metadata]
    for _ in range(_MAX_DEPTH + 1):
        level = [
            value
            for each in level
            for value in (each.values() if isinstance(each, Mapping) else each)
            if isinstance(value, dict | list | tuple)
        ]
        if not level:
            return written
    raise ValueError(f"some nested more than {_MAX_DEPTH} deep")


def _contents(frame: bytes) -> str:
    _, size = _HEAD.unpack_from(frame)
    return decode(frame[_HEAD.size : _HEAD.size + size])


def unpack_metadata(frame: bytes) -> dict[str, Any]:
    """Return the metadata of a document from its frame."""
    _, size = _HEAD.unpack_from(frame)
    metadata = frame[_HEAD.size + size :]
    return json.loads(metadata) if metadata else {}


class DocumentStore:
    """The documents of one segment, by number; safe to use from many threads."""

    def __init__(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        self.ids = StringTable(arrays, "ids")
        self._places = arrays["documents.offsets"]
        # Read by element: a memoryview gives Python's integers, several times faster than numpy.
        self._offsets = self._places.data
        self._data = arrays["documents.data"].data
        self._dictionary = arrays["documents.dictionary"]
        self._decompressors: list[zstandard.ZstdDecompressor] = []

    def __len__(self) -> int:
        return len(self._offsets) - 1

    def contents(self, number: int) -> str:
        """Return a document's title and text as one: ``Document.contents``."""
        return _contents(self.frame(number))

    def contents_of(self, numbers: NDArray[np.integer[Any]]) -> list[str]:
        """Return the ``contents`` of (n,) documents."""
        found: list[str] = []
        for start in range(0, len(numbers), _TOGETHER):
            data, starts = self._unpack(numbers[start : start + _TOGETHER])
            heads = data[starts[:, None] + np.arange(_HEAD.size)].view("<u4").astype(np.int64)
            begins = starts + _HEAD.size
            found += cut(data, begins, begins + heads[:, 1])
        return found

    def document(self, number: int) -> Document:
        """Return a whole document."""
        frame = self.frame(number)
        title, _ = _HEAD.unpack_from(frame)
        contents = _contents(frame)
        heading = decode(frame[_HEAD.size : _HEAD.size + title])
        return Document(
            self.ids[number],
            text=contents[len(heading) + 1 :] if title else contents,
            title=heading,
            metadata=unpack_metadata(frame),
        )

    def frame(self, number: int) -> bytes:
        """Return a document as ``DocumentWriter.add_frame`` takes it."""
        data = self._data[self._offsets[number] : self._offsets[number + 1]]
        try:
            with self._decompressor() as decompressor:
                return decompressor.decompress(data)
        except zstandard.ZstdError as error:
            raise CorruptIndexError(
                f"the text of document {self.ids[number]!r} cannot be unpacked ({error}); "
                "restore the index from a copy or build it again"
            ) from error

    def _unpack(
        self, numbers: NDArray[np.integer[Any]]
    ) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """Return the frames of (n,) documents, one after another, and where each begins."""
        begins = self._places[numbers]
        places = np.stack((begins, self._places[numbers + 1] - begins), axis=1).astype(np.uint64)
        frames: Sequence[Any]
        try:
            packed = zstandard.BufferWithSegments(self._data, places.tobytes())
            with self._decompressor() as decompressor:
                unpacked: Any = decompressor.multi_decompress_to_buffer(packed)
                frames = list(unpacked)
        except (zstandard.ZstdError, ValueError):  # it does not say which one is damaged
            frames = [self.frame(number) for number in numbers.tolist()]
        sizes = np.fromiter(map(len, frames), np.int64, len(frames))
        return np.frombuffer(b"".join(frames), np.uint8), np.cumsum(sizes) - sizes

    @contextmanager
    def _decompressor(self) -> Iterator[zstandard.ZstdDecompressor]:
        """Lend a decompressor, which is not to be shared: as many are kept as work at a time."""
        try:
            decompressor = self._decompressors.pop()
        except IndexError:
            trained = None
            if len(self._dictionary):
                trained = zstandard.ZstdCompressionDict(self._dictionary.tobytes())
            decompressor = zstandard.ZstdDecompressor(dict_data=trained)
        yield decompressor
        self._decompressors.append(decompressor)
