"""Whatever is wrong with a folder, it is said, and nothing is ranked from what is not whole."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import zlib
from pathlib import Path

import pytest

from twopass.retriever.corpus.documents import Document
from twopass.retriever.errors import (
    CorpusError,
    CorruptIndexError,
    DuplicateIdError,
    FormatError,
    IndexExistsError,
    LockedError,
    NotAnIndexError,
)
from twopass.retriever.index.arrays import Container
from twopass.retriever.index.index import BM25Index

DOCUMENTS = [Document(f"d{i}", f"one two w{i}", metadata={"n": i}) for i in range(50)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "index"
    with BM25Index.build(DOCUMENTS, path, analyzer="whitespace") as index:
        index.delete(["d7"])
    return path


def files(folder: Path) -> list[Path]:
    return sorted(p for p in folder.iterdir() if p.name.startswith(("segment", "deletes")))


def test_a_file_cut_off_anywhere_is_refused(folder: Path, tmp_path: Path) -> None:
    for file in files(folder):
        whole = file.read_bytes()
        for size in [0, 1, 40, len(whole) // 2, len(whole) - 1]:
            file.write_bytes(whole[:size])
            with pytest.raises(CorruptIndexError, match=file.name):
                BM25Index.open(folder)
        file.write_bytes(whole)
    BM25Index.open(folder).verify()


def test_every_flipped_byte_is_found(folder: Path) -> None:
    for file in files(folder):
        whole = file.read_bytes()
        found = 0
        for at in range(0, len(whole), 17):
            damaged = bytearray(whole)
            damaged[at] ^= 0x41
            file.write_bytes(damaged)
            try:
                BM25Index.open(folder).verify()
            except CorruptIndexError:
                found += 1
            else:
                assert whole[at] == 0  # between two arrays
        assert found > 10
        file.write_bytes(whole)


def test_a_file_of_another_commit_is_refused(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "copy")
    with BM25Index.open(folder) as index:
        index.delete(["d9"])
    [old] = (tmp_path / "copy").glob("deletes-*")
    [new] = folder.glob("deletes-*")
    shutil.copy(old, new)
    with pytest.raises(CorruptIndexError, match="checksum"):
        BM25Index.open(folder)


@pytest.mark.parametrize("array", ["postings.docs", "ids.data", "terms.data"])
def test_a_merge_and_a_copy_report_damage(folder: Path, tmp_path: Path, array: str) -> None:
    [file] = folder.glob("segment-*")
    damaged = bytearray(file.read_bytes())
    damaged[Container(file)._entries[array].offset] ^= 1
    file.write_bytes(damaged)
    before = (folder / "manifest.json").read_bytes()
    with BM25Index.open(folder) as index:
        with pytest.raises(CorruptIndexError, match=array):
            index.merge()
        with pytest.raises(CorruptIndexError, match=array):
            index.save(tmp_path / "copy")
    assert (folder / "manifest.json").read_bytes() == before
    with pytest.raises(CorruptIndexError, match=array):
        BM25Index.open(folder).verify()


@pytest.mark.parametrize("absolute", [True, False])
def test_a_manifest_names_no_files_elsewhere(folder: Path, absolute: bool) -> None:
    other = folder.parent / "segment-1"
    other.write_text("of somebody else")
    path = folder / "manifest.json"
    body = json.loads(path.read_bytes())
    del body["checksum"]
    body["segments"][0]["file"]["name"] = str(other) if absolute else "../segment-1"
    path.write_text(
        json.dumps({**body, "checksum": zlib.crc32(json.dumps(body, sort_keys=True).encode())})
    )
    with pytest.raises(CorruptIndexError, match="which no index writes"):
        BM25Index.open(folder)
    BM25Index.build(DOCUMENTS, folder, analyzer="whitespace", overwrite=True)
    assert other.read_text() == "of somebody else"
    assert len(BM25Index.open(folder)) == 50


def test_a_missing_file_is_named(folder: Path) -> None:
    files(folder)[0].unlink()
    with pytest.raises(CorruptIndexError, match="missing"):
        BM25Index.open(folder)


def test_manifests_that_cannot_be_read(folder: Path) -> None:
    manifest = folder / "manifest.json"
    text = manifest.read_text()
    for damaged in ["", "{", "[]", "null", text.replace('"generation": 2', '"generation": 3')]:
        assert damaged != text
        manifest.write_text(damaged)
        with pytest.raises(CorruptIndexError, match=r"manifest\.json.*(restore|build)"):
            BM25Index.open(folder)
    manifest.write_text(json.dumps({**json.loads(text), "format": 99}))
    with pytest.raises(FormatError, match=r"format 99.*upgrade"):
        BM25Index.open(folder)


def test_what_is_no_index(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "folder").mkdir()
    for name in ("file", "folder", "absent"):
        with pytest.raises(NotAnIndexError, match=name):
            BM25Index.open(tmp_path / name)


def test_what_stands_there_is_not_overwritten_unasked(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(IndexExistsError, match="index"):
        BM25Index.build(DOCUMENTS, folder)
    (tmp_path / "folder").mkdir()
    for overwrite in (False, True):
        with pytest.raises(IndexExistsError):
            BM25Index.build(DOCUMENTS, tmp_path / "folder", overwrite=overwrite)
    assert len(BM25Index.open(folder)) == 49


@pytest.mark.parametrize("damage", [False, True])
def test_overwriting_leaves_the_old_index_whole_until_the_new_one_is(
    folder: Path, damage: bool
) -> None:
    reader = BM25Index.open(folder)
    with pytest.raises(DuplicateIdError):
        BM25Index.build([DOCUMENTS[0], DOCUMENTS[0]], folder, overwrite=True)
    assert len(BM25Index.open(folder)) == 49
    if damage:
        (folder / "manifest.json").write_text("{")
    BM25Index.build([Document("new", "one")], folder, analyzer="whitespace", overwrite=True)
    assert BM25Index.open(folder).search(["one"], 9)[0].ids.tolist() == ["new"]
    assert len(reader.search(["one"], 100)[0]) == 49
    assert reader.refresh()
    assert len(reader) == 1
    assert len(files(folder)) == 1


@pytest.mark.parametrize("error", [DuplicateIdError, KeyboardInterrupt, CorpusError])
def test_an_interrupted_build_leaves_nothing(tmp_path: Path, error: type[BaseException]) -> None:
    def documents():
        yield DOCUMENTS[0]
        if error is KeyboardInterrupt:
            raise KeyboardInterrupt
        yield DOCUMENTS[0] if error is DuplicateIdError else Document("x", "", metadata={"a": {1}})

    with pytest.raises(error):
        BM25Index.build(documents(), tmp_path / "i", analyzer="whitespace")
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_build_left_is_removed_by_the_next(tmp_path: Path) -> None:
    code = f"""
import os, signal
from twopass.retriever.index.index import BM25Index
from twopass.retriever.corpus.documents import Document
def documents():
    yield Document("a", "b")
    os.kill(os.getpid(), signal.SIGKILL)
BM25Index.build(documents(), {str(tmp_path / "i")!r}, analyzer="whitespace")
"""
    subprocess.run([sys.executable, "-c", code], check=False)
    assert [p.name.startswith(".i.building-") for p in tmp_path.iterdir()] == [True]
    BM25Index.build(DOCUMENTS, tmp_path / "i", analyzer="whitespace")
    assert [p.name for p in tmp_path.iterdir()] == ["i"]


def test_a_second_writer_learns_who_is_writing(folder: Path) -> None:
    code = f"""
import time
from twopass.retriever.index.index import BM25Index
BM25Index.open({str(folder)!r}).delete(["d1"])
print("writing", flush=True)
time.sleep(600)
"""
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"writing\n"
    second = BM25Index.open(folder)
    with pytest.raises(LockedError, match=f"process {process.pid} on "):
        second.add([Document("new", "x")])
    assert len(second.search(["one"], 100)[0]) == 48
    process.kill()
    process.communicate()
    second.add([Document("new", "x")])  # the lock vanished with its process
    with pytest.raises(LockedError):
        BM25Index.open(folder).delete(["new"])
    with pytest.raises(LockedError):
        BM25Index.build([], folder, overwrite=True)
    second.close()
    with BM25Index.open(folder) as third:
        assert third.delete(["new", "d2"]) == 2
