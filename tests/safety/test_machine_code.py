"""Machine code is loaded only from files that nobody else could have written."""

from __future__ import annotations

import logging
import os
import time
from pathlib import Path

import pytest

from twopass.retriever.native import machine_code

pytestmark = pytest.mark.skipif(os.name != "posix", reason="owners and modes")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    machine_code._warn.cache_clear()
    assert machine_code.write("loop.o", b"code")
    assert machine_code.read("loop.o") == b"code"
    return tmp_path


@pytest.mark.parametrize("mode", [0o664, 0o646, 0o666])
def test_a_file_that_others_may_write_to_is_not_run(
    folder: Path, mode: int, caplog: pytest.LogCaptureFixture
) -> None:
    (folder / "loop.o").chmod(mode)
    with caplog.at_level(logging.WARNING):
        assert machine_code.read("loop.o") is None
        assert machine_code.read("loop.o") is None
    assert caplog.text.count("is not used") == 1
    assert machine_code.write("loop.o", b"new code")  # what is compiled again takes its place
    assert machine_code.read("loop.o") == b"new code"


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root can give files away")
def test_a_file_of_another_user_is_not_run(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    os.chown(folder / "loop.o", 65534, 65534)
    assert machine_code.read("loop.o") is None
    assert "is not used" in caplog.text


def test_a_file_under_another_name_is_not_run(folder: Path) -> None:
    (folder / "loop.o").rename(folder / "other.o")
    assert machine_code.read("other.o") is None


def test_a_named_pipe_holds_nobody_up(folder: Path) -> None:
    (folder / "loop.o").unlink()
    os.mkfifo(folder / "loop.o")
    started = time.monotonic()
    assert machine_code.read("loop.o") is None
    assert time.monotonic() - started < 1
