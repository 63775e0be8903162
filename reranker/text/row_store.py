"""Rows of numbers by text, on disk; documents' token ids are kept as such rows.

A folder of segments, each written once: the texts' hashes in order, where each row begins, and the
rows. A text's own hash is its key, so that a row is right or absent, whatever was added, updated
or deleted since; a reader computes what is absent.

The ids of a tokeniser are in a separate folder, named by its fingerprint, beside those of
others; the tokeniser itself computes them, so that scores are the same to the bit.
"""

from __future__ import annotations

import json
import secrets
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from twopass.reranker.contract.errors import RerankerError

__all__ = [
    "RowStore",
    "RowStoreError",
    "find_tokens",
    "fingerprint",
    "refresh_tokens",
    "store_tokens",
]


_META, _FORMAT = "about.json", 1
_KEY = np.dtype([("high", "<u8"), ("low", "<u8")])


class RowStoreError(RerankerError):
    """A folder of rows that cannot be read or written."""


class RowStore:
    """Rows by text, memory-mapped; many readers, one writer at a time.

    Args:
        folder: an existing one, see :meth:`create`.

    Attributes:
        about: what the rows are, as said when the folder was made.

    Raises:
        RowStoreError: when it is no folder of rows.

    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            self.about: Mapping[str, Any] = json.loads((folder / _META).read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise RowStoreError(f"expected rows by text in {str(folder)!r}: {error}") from error
        if self.about.get("format") != _FORMAT:
            raise RowStoreError(
                f"{folder}: expected format {_FORMAT}, found {self.about.get('format')}; "
                "delete the folder and make it again"
            )
        self._segments = [_Segment(path) for path in sorted(folder.glob("segment-*"))]

    @classmethod
    def create(cls, folder: Path, dtype: str, **about: Any) -> RowStore:
        """Open the folder, or make an empty one.

        Args:
            folder: where.
            dtype: the rows' numbers, in numpy's name.
            about: what else to write down of them, fit for JSON.

        """
        if not (folder / _META).is_file():
            folder.mkdir(parents=True, exist_ok=True)
            meta = {"format": _FORMAT, "dtype": dtype, **about}
            partial = folder / f".{_META}-{secrets.token_hex(4)}"
            partial.write_text(json.dumps(meta, ensure_ascii=False), encoding="utf-8")
            partial.rename(folder / _META)
        return cls(folder)

    def __len__(self) -> int:
        return sum(len(segment.keys) for segment in self._segments)

    def find(self, texts: Sequence[str]) -> list[NDArray[Any] | None]:
        """Return each text's row, a view of the file, or None where there is none."""
        keys = _keys(texts)
        found: list[NDArray[Any] | None] = [None] * len(texts)
        for segment in reversed(self._segments):
            for index, row in segment.find(keys):
                if found[index] is None:
                    found[index] = row
        return found

    def missing(self, texts: Sequence[str]) -> list[str]:
        """Return the distinct texts that have no row, in their order."""
        distinct = list(dict.fromkeys(texts))
        rows = self.find(distinct)
        return [text for text, row in zip(distinct, rows, strict=True) if row is None]

    def add(self, texts: Sequence[str], rows: Sequence[NDArray[Any]]) -> None:
        """Write the rows of distinct texts as a segment, whole or not at all.

        Raises:
            RowStoreError: when the system does not let it be written.

        """
        if not texts:
            return
        keys = _keys(texts)
        order = np.argsort(keys, order=("high", "low"), kind="stable")
        sizes = [len(rows[index]) for index in order]
        arrays = {
            "keys": keys[order],
            "offsets": np.concatenate(([0], np.cumsum(sizes, dtype=np.int64))),
            # one number more than there are: an empty file could not be mapped
            "values": np.concatenate([*(rows[index] for index in order), [0]]).astype(
                self.about["dtype"]
            ),
        }
        self._segments.append(_Segment(self._written(arrays)))

    def _written(self, arrays: Mapping[str, NDArray[Any]]) -> Path:
        partial = self.folder / f".partial-{secrets.token_hex(4)}"
        number = 1 + max((int(s.path.name.split("-")[1]) for s in self._segments), default=0)
        path = self.folder / f"segment-{number:06}"
        try:
            partial.mkdir()
            for name, array in arrays.items():
                np.save(partial / f"{name}.npy", array)
            partial.rename(path)
        except OSError as error:
            shutil.rmtree(partial, ignore_errors=True)
            raise RowStoreError(f"{path}: could not be written: {error}") from error
        return path


class _Segment:
    """Rows that were written at one time, in the order of their keys."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self.keys, self._offsets, self._values = (
                np.load(path / f"{name}.npy", mmap_mode="r")
                for name in ("keys", "offsets", "values")
            )
        except (OSError, ValueError) as error:
            raise RowStoreError(
                f"{path}: expected arrays, found: {error}; delete {path.parent} and make it again"
            ) from error

    def find(self, keys: NDArray[Any]) -> Iterator[tuple[int, NDArray[Any]]]:
        """Yield the index of each key that is here, and its row."""
        high = self.keys["high"]
        places = np.minimum(np.searchsorted(high, keys["high"]), len(high) - 1)
        for number in np.flatnonzero(self.keys[places] == keys):
            start, end = self._offsets[places[number] : places[number] + 2]
            yield int(number), self._values[start:end]


def _keys(texts: Iterable[str]) -> NDArray[Any]:
    digests = b"".join(
        blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest() for text in texts
    )
    return np.frombuffer(digests, dtype=_KEY)


_TEXTS_AT_ONCE = 1024
_TEXTS_A_SEGMENT = 65536
_TOKENIZER = "tokenizer.json"


def fingerprint(tokenizer: Tokenizer) -> str:
    """Return what tells a tokeniser from others; what it truncates or pads does not count."""
    plain = Tokenizer.from_str(tokenizer.to_str())
    plain.no_truncation()
    plain.no_padding()
    return blake2b(plain.to_str().encode(), digest_size=8).hexdigest()


def find_tokens(folder: Path, tokenizer: Tokenizer) -> RowStore | None:
    """Open the ids of this tokeniser in the folder, or None where there are none.

    Raises:
        RowStoreError: when they cannot be read.

    """
    own = folder / fingerprint(tokenizer)
    return RowStore(own) if own.is_dir() else None


def store_tokens(
    folder: Path,
    tokenizer: Tokenizer,
    texts: Iterable[str],
    *,
    model: str = "",
    done: Callable[[int], None] = lambda _: None,
) -> RowStore:
    """Compute and store the ids of the texts that have none yet.

    Args:
        folder: where ids of several tokenisers may stand.
        tokenizer: whose ids.
        texts: any number; they are read as a stream.
        model: whose tokeniser it is, written down for people.
        done: called now and then with how many texts were looked at.

    Raises:
        RowStoreError: when the folder cannot be read or written.

    """
    own = folder / fingerprint(tokenizer)
    dtype = "uint16" if tokenizer.get_vocab_size() <= 2**16 else "int32"
    rows = RowStore.create(own, dtype, model=model)
    if not (own / _TOKENIZER).is_file():
        tokenizer.save(str(own / _TOKENIZER))
    seen = 0
    for part in _parts(texts, _TEXTS_A_SEGMENT):
        new = rows.missing(part)
        rows.add(
            new, [row for some in _parts(new, _TEXTS_AT_ONCE) for row in _ids(tokenizer, some)]
        )
        seen += len(part)
        done(seen)
    return rows


def refresh_tokens(
    folder: Path, texts: Callable[[], Iterable[str]], done: Callable[[int], None] = lambda _: None
) -> None:
    """Add, for each tokeniser whose ids are in the folder, those of the texts that have none."""
    for own in sorted(folder.glob(f"*/{_TOKENIZER}")):
        store_tokens(folder, Tokenizer.from_file(str(own)), texts(), done=done)


def _ids(tokenizer: Tokenizer, texts: list[str]) -> Iterator[np.ndarray]:
    for encoding in tokenizer.encode_batch_fast(texts, add_special_tokens=False):
        yield np.array(encoding.ids, dtype=np.int32)


def _parts(items: Iterable[str], size: int) -> Iterator[list[str]]:
    source = iter(items)
    while part := list(islice(source, size)):
        yield part
