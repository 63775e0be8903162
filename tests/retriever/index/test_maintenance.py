"""The merge policy by itself, and what it does to an index that grows."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from twopass.retriever.corpus.documents import Document
from twopass.retriever.index.index import BM25Index
from twopass.retriever.index.maintenance import segments_to_merge


class Sized(SimpleNamespace):
    def __len__(self) -> int:
        return self.size


def segments(*sizes: int | tuple[int, int]) -> Any:
    """Segments by their documents; of a pair the second is how many of them live."""
    pairs = [size if isinstance(size, tuple) else (size, size) for size in sizes]
    return [Sized(size=n, totals=SimpleNamespace(documents=living)) for n, living in pairs]


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ([], None),
        ([5] * 9, None),
        ([5] * 10, range(10)),
        ([1000] * 10, range(10)),
        ([1001] + [5] * 9, None),
        ([1001] + [5] * 10, range(1, 11)),
        ([50_000] + [5000] * 9, None),
        ([50_000] + [5000] * 10, range(1, 11)),
        ([5, 5, 5] + [5000] * 7, range(10)),  # small ones between larger ones are not forgotten
        ([10**6, 10**5, 10**4, 10**3, 10], None),
        ([100, (100, 75)], None),
        ([100, (100, 74)], range(1, 2)),
        ([(10, 10), (10**6, 10**5)], range(1, 2)),
    ],
)
def test_policy(sizes: list[Any], expected: range | None) -> None:
    assert segments_to_merge(segments(*sizes)) == expected


def test_segments_stay_few_and_each_document_is_copied_seldom() -> None:
    sizes: list[int] = []
    copied = 0
    for _ in range(30_000):
        sizes.append(1)
        while (which := segments_to_merge(segments(*sizes))) is not None:
            merged = sum(sizes[which.start : which.stop])
            copied += merged
            sizes[which.start : which.stop] = [merged]
        assert len(sizes) <= 9 * 4
    assert sum(sizes) == 30_000
    assert copied / 30_000 < 60  # about 55 in the smallest tier, then one for each


def test_an_index_that_grows_is_merged_behind(tmp_path: Path) -> None:
    with BM25Index.build([], tmp_path / "i", analyzer="whitespace") as index:
        for i in range(60):
            index.add([Document(f"d{i}", "same")])
    assert len(index.snapshot.segments) < 20
    assert index.search(["same"], 60)[0].ids.tolist() == [f"d{i}" for i in range(60)]


def test_deleted_documents_leave_the_disk(tmp_path: Path) -> None:
    documents = [Document(f"d{i}", f"word{i} " * 50) for i in range(500)]
    with BM25Index.build(documents, tmp_path / "i", analyzer="whitespace") as index:
        before = index.info()["bytes"]
        index.delete(f"d{i}" for i in range(400))
    info = index.info()
    assert (info["documents"], info["deleted"]) == (100, 0)
    assert info["bytes"] < before / 2
