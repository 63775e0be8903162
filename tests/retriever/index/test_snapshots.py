"""Readers see a commit or not at all, in threads and in other processes, while it is written."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

from twopass.retriever.corpus.documents import Document
from twopass.retriever.index.index import BM25Index


def version(number: int) -> list[Document]:
    """Thirty documents that all say which commit they belong to."""
    return [Document(f"d{i}", f"same v{number}", metadata={"v": number}) for i in range(30)]


def seen(index: BM25Index) -> int:
    """Return the version of all documents; they must be of one."""
    [hits] = index.search(["same"], 100)
    assert len(hits) == 30
    [text] = set(hits.texts)
    return int(text.removeprefix("same v"))


def test_threads_see_whole_commits_and_never_go_back(tmp_path: Path) -> None:
    index = BM25Index.build(version(0), tmp_path / "i", analyzer="whitespace")
    stop = threading.Event()
    last: list[list[int]] = [[], []]

    def read(i: int) -> None:
        own = index if i else BM25Index.open(tmp_path / "i")
        while not stop.is_set():
            own.refresh()
            last[i].append(seen(own))

    readers = [threading.Thread(target=read, args=(i,)) for i in range(2)]
    for reader in readers:
        reader.start()
    for number in range(1, 41):
        index.update(version(number))
    stop.set()
    for reader in readers:
        reader.join()
    index.close()
    for numbers in last:
        assert numbers == sorted(numbers)
        assert len(set(numbers)) > 3
    assert len(index.snapshot.segments) < 10


READER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from twopass.retriever.index.index import BM25Index
from test_snapshots import seen
index = BM25Index.open(sys.argv[1])
numbers = [seen(index)]
print("reading", flush=True)
while numbers[-1] < 40:
    index.refresh()
    numbers.append(seen(index))
assert numbers == sorted(numbers)
print(len(set(numbers)))
"""


def test_processes_see_whole_commits_and_never_go_back(tmp_path: Path) -> None:
    index = BM25Index.build(version(0), tmp_path / "i", analyzer="whitespace")
    reader = subprocess.Popen(
        [sys.executable, "-c", READER, tmp_path / "i", Path(__file__).parent],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert reader.stdout is not None
    assert reader.stdout.readline() == "reading\n"
    with index:
        for number in range(1, 41):
            index.update(version(number))
    output, _ = reader.communicate(timeout=60)
    assert reader.returncode == 0
    assert int(output) > 3


def test_a_reader_keeps_its_snapshot_until_it_refreshes(tmp_path: Path) -> None:
    with BM25Index.build(version(0), tmp_path / "i", analyzer="whitespace") as index:
        reader = BM25Index.open(tmp_path / "i")
        for number in range(1, 25):
            index.update(version(number))
        index.merge()
        files = list((tmp_path / "i").glob("segment-*"))
        assert len(files) == 1
        assert seen(reader) == 0
        assert reader.get("d3") == version(0)[3]
        assert reader.refresh()
        assert not reader.refresh()
        assert seen(reader) == 24


def test_what_is_deleted_during_a_merge_stays_deleted(tmp_path: Path, monkeypatch) -> None:
    index = BM25Index.build([], tmp_path / "i", analyzer="whitespace")
    for i in range(5):
        index.add(version(i)[i * 6 : i * 6 + 6])
    from twopass.retriever.index import maintenance, writer

    def slow(storage, name, segments):
        maintenance.merge_segments(storage, name, segments)
        index.delete(["d0", "d7", "d12", "d13", "d14", "d15", "d16", "d17"])
        index.update([Document("d29", "same again")])

    monkeypatch.setattr(writer, "merge_segments", slow)
    index.merge()
    index.close()
    for each in (index, BM25Index.open(tmp_path / "i")):
        [hits] = each.search(["same"], 100)
        assert len(hits) == len(each) == 22
        assert not {"d0", "d7", "d12", "d17"} & set(hits.ids)
        assert each.get("d29").text == "same again"
        assert len(each.snapshot.segments) == 2
        rebuilt = BM25Index.build([each.get(id) for id in hits.ids], analyzer="whitespace")
        expected = dict(zip(*_columns(rebuilt, "same v1 again"), strict=True))
        assert dict(zip(*_columns(each, "same v1 again"), strict=True)) == expected


def _columns(index: BM25Index, query: str) -> tuple[list[str], list[float]]:
    [hits] = index.search([query], 100)
    return hits.ids.tolist(), hits.scores.tolist()
