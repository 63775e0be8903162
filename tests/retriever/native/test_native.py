from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from twopass.retriever.corpus.documents import Document
from twopass.retriever.index.index import BM25Index
from twopass.retriever.native import compiler, function, machine_code
from twopass.retriever.native.function import Function
from twopass.retriever.native.layout import pack
from twopass.retriever.native.loops.records import Top

TOP = Top("int64[]", "float32[]", "int64[]")

USE = """\
import sys
import numpy as np
from twopass.retriever.native.function import Function
from twopass.retriever.native.loops.records import Top

loop = "twopass.retriever.native.loops.accumulators:finish"
finish = Function(loop, Top("int64[]", "float32[]", "int64[]"))
docs, scores = np.array([7, 8]), np.array([1, 2], np.float32)
finish(Top(docs, scores, np.array([2])))
assert docs.tolist() == [8, 7], docs
print("numba" in sys.modules)
"""


def finish() -> Function:
    return Function("twopass.retriever.native.loops.accumulators:finish", TOP)


def works(loop: Function) -> bool:
    docs, scores = np.array([5, 3, 4]), np.array([1, 2, 1], np.float32)
    loop(Top(docs, scores, np.array([3])))
    return docs.tolist() == [3, 4, 5]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def compilations(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    done: list[str] = []
    compiling = Function._compile

    def count(self: Function) -> bytes:
        done.append(self._home)
        return compiling(self)

    monkeypatch.setattr(Function, "_compile", count)
    return done


def test_what_was_compiled_once_is_loaded(place: Path, compilations: list[str]) -> None:
    for _ in range(3):
        assert works(finish())
    assert len(compilations) == len(list(place.iterdir())) == 1


@pytest.mark.parametrize("damage", [lambda data: data[:-100], lambda data: data[:50] + b"x", bytes])
def test_a_damaged_file_is_compiled_again(
    place: Path, compilations: list[str], damage: Any
) -> None:
    assert works(finish())
    (file,) = place.iterdir()
    whole = file.read_bytes()
    file.write_bytes(damage(whole) if damage is not bytes else b"")
    assert works(finish())
    assert len(compilations) == 2
    assert works(finish())
    assert len(compilations) == 2


def test_a_change_of_the_sources_is_a_new_file(
    place: Path, compilations: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert works(finish())
    monkeypatch.setattr(function, "_sources", lambda: "changed")
    assert works(finish())
    assert len(compilations) == len(list(place.iterdir())) == 2


def test_where_the_package_cannot_be_written_the_users_cache_is(
    tmp_path: Path, compilations: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    (tmp_path / "no-folder").touch()
    monkeypatch.setattr(machine_code, "__file__", str(tmp_path / "no-folder" / "code.py"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    assert works(finish())
    assert len(list((tmp_path / "home" / "twopass" / "native").iterdir())) == 1
    assert works(finish())
    assert len(compilations) == 1


def test_where_nothing_can_be_written_it_still_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "no-folder").touch()
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "no-folder" / "below"))
    assert works(finish())


def test_processes_that_start_together_share_what_they_compile(place: Path) -> None:
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(place)}

    def start() -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", USE], env=environment, stdout=subprocess.PIPE, text=True
        )

    together = [start(), start()]
    for process in together:
        process.communicate()
        assert process.returncode == 0
    assert [path.suffix for path in place.iterdir()] == [".o"]  # nothing half done is left
    assert start().communicate()[0] == "False\n"  # without numba


def test_a_search_loads_no_numba_once_its_loops_are_compiled(tmp_path: Path) -> None:
    index = BM25Index.build([Document("1", "a tale of two cities")], tmp_path / "index")
    index.warm()
    program = (
        "import sys; from twopass.retriever import BM25Index\n"
        f"(hits,) = BM25Index.open({str(tmp_path / 'index')!r}).search(['city'], 1)\n"
        "print(*hits.ids, 'numba' in sys.modules, 'scipy' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["1", "False", "False"]


@pytest.mark.parametrize(
    "docs", [np.zeros(3, np.int32), np.zeros(3), np.zeros(6, np.int64)[::2], np.zeros(3, ">i8")]
)
def test_an_array_of_another_kind_is_refused(docs: Any) -> None:
    with pytest.raises(TypeError, match=r"expected a contiguous array int64\[\], found"):
        pack(TOP, Top(docs, np.zeros(3, np.float32), np.zeros(1, np.int64)))


def test_too_few_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="zip"):
        finish()((np.zeros(1, np.int64),))


CHANGES = {
    "import numba; numba.version_info = numba.version_info._replace(short=(9, 1))\n": "0.61 to",
    "import numba.extending as part; del part.intrinsic\n": "cannot import name 'intrinsic'",
}
SEARCH = """\
import logging, sys
logging.basicConfig(level=logging.WARNING)
from twopass.retriever import BM25Index, Document
documents = [Document(str(i), f"a tale of {i % 7} cities and {i % 3} towns") for i in range(99)]
index = BM25Index.build(documents, sys.argv[1], overwrite=True)
index.add([Document("x", "one more city, 3")])
index.merge()
for hits in index.search(["cities 3", "town", "tale of 2 cities"], 5):
    print(*hits.ids, *hits.scores)
"""


def test_the_installed_numba_is_one_whose_inner_parts_are_known() -> None:
    """Fails when a newer one is released: see that all tests pass, then raise the range."""
    compiler._check_version()


@pytest.mark.slow
def test_a_changed_numba_gives_the_same_answers(place: Path) -> None:
    plain = run_search(place, "")
    assert len(plain.stdout.splitlines()) == 3
    assert plain.stderr == ""
    for change, reason in CHANGES.items():
        changed = run_search(place, change)
        assert changed.stdout == plain.stdout
        (line,) = changed.stderr.splitlines()
        assert line.startswith("WARNING:")
        assert reason in line


def run_search(place: Path, before: str) -> subprocess.CompletedProcess[str]:
    folder = place if not before else place.with_name("changed")  # nothing compiled before
    return subprocess.run(
        [sys.executable, "-c", before + SEARCH, str(place.with_name("index"))],
        env={**os.environ, "NUMBA_CACHE_DIR": str(folder)},
        capture_output=True,
        text=True,
        check=True,
    )


def allocate(values: Any) -> None:
    values[:] = np.zeros(len(values))


def fail(values: Any) -> None:
    if values[0] > 0:
        raise ValueError("no")
    values[0] = 3


def module_of(loop: Any) -> str:
    from numba import njit

    module = ModuleType("loops_of_a_test")
    setattr(module, loop.__name__, njit(loop))
    sys.modules[module.__name__] = module
    return f"{module.__name__}:{loop.__name__}"


def test_a_loop_that_allocates_is_refused(place: Path) -> None:
    from numba.core.errors import NumbaError

    with pytest.raises((NumbaError, RuntimeError)):
        Function(module_of(allocate), "float64[]").load()


def test_a_loop_that_raises_is_reported(place: Path) -> None:
    loop = Function(module_of(fail), "float64[]")
    values = np.zeros(1)
    loop(values)
    assert values[0] == 3
    with pytest.raises(RuntimeError, match="expected a loop that raises nothing"):
        loop(values)
