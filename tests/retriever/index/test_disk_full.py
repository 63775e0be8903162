"""A commit that the disk has no room for changes nothing, whichever write it is that fails."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from twopass.retriever.corpus.documents import Document
from twopass.retriever.errors import StorageError
from twopass.retriever.index.index import BM25Index


class Disk:
    """Counts what is asked of the disk, and refuses it from the n-th time on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked = 0
        self.room: float = float("inf")
        opened, fsync, replaced = Path.open, os.fsync, Path.replace
        monkeypatch.setattr(os, "fsync", self.refusing(fsync))
        if hasattr(os, "posix_fallocate"):
            monkeypatch.setattr(os, "posix_fallocate", self.refusing(os.posix_fallocate))
        monkeypatch.setattr(Path, "replace", self.refusing(replaced))
        monkeypatch.setattr(
            Path, "open", lambda path, mode="r", *a, **k: self.open(opened, path, mode, *a, **k)
        )

    def ask(self) -> None:
        self.asked += 1
        if self.asked > self.room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def refusing(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def asking(*args: Any) -> Any:
            self.ask()
            return function(*args)

        return asking

    def open(self, opened: Callable[..., Any], path: Path, mode: str, *args: Any, **k: Any) -> Any:
        if "w" not in mode and "x" not in mode:
            return opened(path, mode, *args, **k)
        self.ask()
        return File(opened(path, mode, *args, **k), self)


class File:
    def __init__(self, file: Any, disk: Disk) -> None:
        self._file, self._disk = file, disk

    def write(self, data: Any) -> int:
        self._disk.ask()
        return self._file.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __enter__(self) -> File:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


CHANGES: dict[str, Callable[[BM25Index], object]] = {
    "add": lambda index: index.add([Document("new", "one three", metadata={"n": 1})]),
    "update": lambda index: index.update([Document("d1", "one three", metadata={"n": 1})]),
    "delete": lambda index: index.delete(["d1", "d4"]),
    "merge": lambda index: index.merge(),
}


def prepare(folder: Path) -> None:
    documents = [Document(f"d{i}", "one two") for i in range(9)]
    with BM25Index.build(documents, folder, analyzer="whitespace") as index:
        index.delete(["d8"])
        index.add([Document("other", "one")])


def ids(index: BM25Index) -> list[str]:
    return index.search(["one"], 99)[0].ids.tolist()


@pytest.mark.parametrize("change", CHANGES)
def test_each_write_fails_in_turn(
    change: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(tmp_path / "prepared")
    disk = Disk(monkeypatch)
    failures = 0
    for room in range(1000):
        folder = tmp_path / str(room)
        shutil.copytree(tmp_path / "prepared", folder)
        index = BM25Index.open(folder)
        before, manifest = ids(index), index.snapshot.manifest
        disk.asked, disk.room = 0, room
        try:
            CHANGES[change](index)
        except StorageError as error:
            stands = "the commit stands" in str(error)
            failures += 1
        else:
            break
        finally:
            disk.room = float("inf")
        committed = BM25Index.open(folder)
        committed.verify()
        assert committed.snapshot.manifest == index.snapshot.manifest
        assert (index.snapshot.manifest == manifest) == (not stands)
        assert ids(committed) == ids(index)
        assert stands or ids(index) == before
        if not stands:
            CHANGES[change](index)
        index.close()
        files = {path.name for path in folder.iterdir() if path.name[:3] in ("seg", "del", "run")}
        assert stands or files == index.snapshot.manifest.names()
    assert failures > 10


@pytest.mark.skipif(sys.platform != "linux", reason="the limit is one of POSIX systems")
def test_a_real_limit_on_file_size(tmp_path: Path) -> None:
    code = f"""
import resource
from twopass.retriever.errors import StorageError
from twopass.retriever.index.index import BM25Index
from twopass.retriever.corpus.documents import Document
folder = {str(tmp_path / "i")!r}
spare = BM25Index.build([Document("a", "b")], analyzer="whitespace")
spare.add(Document(str(i), f"w{{i}} " * 9) for i in range(5000))
spare.merge()  # numba keeps what it compiles in files too: not under the limit
index = BM25Index.build([Document("a", "b")], folder, analyzer="whitespace")
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
try:
    index.add(Document(str(i), f"w{{i}} " * 9) for i in range(5000))
except StorageError as error:
    print(error)
for size in (1, 4000):  # from now on there is room for small commits only
    try:
        index.add(Document(f"{{size}} {{i}}", "b") for i in range(size))
    except StorageError as error:
        print(error)
print(len(BM25Index.open(folder)), len(index))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    one, two, sizes = done.stdout.splitlines()
    assert "File too large" in one
    assert "File too large" in two
    assert sizes == "2 2"
