from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path

import pytest

from twopass.pipeline.apps.cli import main
from twopass.retriever.errors import CorpusError

from .conftest import Run

TWOPASS = str(Path(sys.executable).parent / "twopass")
_PATIENCE = 300  # seconds; only a machine with much else to do needs them
_COLUMNS = 70
HEAVY = {
    *("elasticsearch", "ir_measures", "numba", "numpy", "pyarrow", "pydantic", "rich"),
    *("tokenizers", "torch", "transformers"),
}


class TestHelp:
    @pytest.mark.parametrize(
        "arguments", [["--help"], ["--version"], ["search", "--help"], ["search"]]
    )
    def test_nothing_heavy_is_imported(self, arguments: list[str]) -> None:
        program = (
            "import sys\nfrom twopass.pipeline.apps.cli import main\n"
            f"try: main({arguments!r})\nexcept SystemExit: pass\n"
            f"print('heavy:', *sorted({HEAVY!r} & set(sys.modules)))"
        )
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
        assert done.stdout.splitlines()[-1] == "heavy:"

    @pytest.mark.parametrize(
        "command",
        ["index", "search", "explain", "evaluate", "info", "delete", "export", "import", "demo"],
    )
    def test_every_command_teaches_by_example(self, run: Run, command: str) -> None:
        done = run(command, "--help")
        assert done.status == 0
        assert f"  twopass {command}" in done.out.split("examples:")[1]
        assert command in run("--help").out

    def test_version(self, run: Run) -> None:
        assert run("--version").out == f"twopass {version('twopass')}\n"


class TestErrors:
    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ([], "the following arguments are required: COMMAND (see twopass --help)"),
            (["serach"], "invalid choice: 'serach'"),
            (["serach"], "did you mean 'search'? (see twopass --help)"),
            (["search", "--index", "x", "--syntax", "quary", "q"], "did you mean 'query'?"),
            (["search", "--index", "x"], "one of the arguments QUERY --queries is required"),
            (["search", "--k", "0", "q"], "argument --k: expected a whole number of at least 1"),
            (["search", "--k", "ten", "q"], "found 'ten'"),
            (["search", "--set", "depth", "q"], "expected NAME=VALUE, found 'depth'"),
            (["search", "--set", "dpeth=5", "q"], "dpeth: no such setting; did you mean"),
            (["search", "--config", "absent.toml", "q"], "absent.toml: expected a TOML file"),
            (["search", "q"], "retriever.index: expected the folder of an index, found none"),
            (["search", "--index", "absent", "q"], "absent"),
            (["search", "--index", ".", "q"], "expected"),
            (["search", "--index", "index", "--model", "./absent", "q"], "found './absent'"),
            (["search", "--index", "index", "--fusion", "best", "q"], "unknown fusion method"),
            (["search", "--index", "index", "--filter", "{", "q"], "--filter: expected JSON"),
            (["search", "--index", "index", "--filter", '{"a": 1}', "q"], "expected one of term"),
            (["search", "--index", "index", "--queries", "absent.txt"], "absent.txt"),
            (["info", "absent"], "absent"),
            (["delete", "--index", "absent", "x"], "absent"),
            (["index", "absent.jsonl", "--out", "new"], "absent.jsonl: expected a file or folder"),
            (["index", "corpus.jsonl"], "required: --out"),
            (["index", "corpus.jsonl", "--out", "new", "--analyzer", "klingon"], "klingon"),
            (
                ["index", "corpus.jsonl", "--out", "new", "--b", "2"],
                "expected a number from 0 to 1",
            ),
            (["index", "corpus.jsonl", "--out", "index"], "index"),
            (["index", "corpus.jsonl", "--out", "corpus.jsonl/new"], "corpus.jsonl"),
        ],
    )
    @pytest.mark.usefixtures("index")
    def test_one_line_and_status_2(self, run: Run, arguments: list[str], message: str) -> None:
        done = run(*arguments)
        assert (done.status, done.out) == (2, "")
        assert done.err.startswith("twopass: error: ")
        assert message in done.err
        assert done.err.count("\n") == 1
        assert not Path("new").exists()

    def test_debug_shows_where(self) -> None:
        with pytest.raises(CorpusError):
            main(["index", "absent", "--out", "new", "--debug"])

    def test_a_file_that_may_not_be_written(self, run: Run, index: Path, tmp_path: Path) -> None:
        Path("q.txt").write_text("cat\n")
        arguments = ("--no-rerank", "--queries", "q.txt", "--out", tmp_path)
        done = run("search", "--index", index, *arguments)
        assert (done.status, done.err.count("\n")) == (2, 1)
        assert str(tmp_path) in done.err


class TestProcess:
    def test_the_console_script(self, index: Path) -> None:
        command = [TWOPASS, "search", "--index", index, "--no-rerank", "cat"]
        done = subprocess.run(command, capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")
        assert "mat" in done.stdout

    def test_a_library_that_logs_what_it_raises(self, index: Path) -> None:
        command = [TWOPASS, "export", "--index", index, "--server", "http://127.0.0.1:9"]
        done = subprocess.run([*command, "--name", "n"], capture_output=True, text=True)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
        assert "did not answer" in done.stderr

    def test_an_interrupted_index_leaves_nothing(self, tmp_path: Path) -> None:
        command = [TWOPASS, "index", "-", "--out", "half", "--debug"]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            assert process.stdin is not None
            for number in range(20_000):
                process.stdin.write(f'{{"id": {number}, "text": "some words"}}\n')
            process.stdin.flush()
            deadline = time.monotonic() + _PATIENCE
            while not list(tmp_path.iterdir()) and time.monotonic() < deadline:
                time.sleep(0.05)
            process.send_signal(signal.SIGINT)
            assert process.wait(_PATIENCE) == 130
            assert process.stderr is not None
            assert process.stderr.read() == "twopass: interrupted\n"
        assert list(tmp_path.iterdir()) == []

    def test_a_reader_that_goes_away(self, index: Path) -> None:
        Path("q.txt").write_text("cat\n" * 50_000)
        command = [TWOPASS, "search", "--index", index, "--no-rerank", "--queries", "q.txt"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            process.stdout.readline()
            process.stdout.close()
            assert process.wait(_PATIENCE) == 141
            assert process.stderr.read() == b""


class TestTerminal:
    def test_a_terminal_gets_a_table(
        self, index: Path, model: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        arguments = ("--index", index, "--model", model, "the cat and the owl")
        shown = _in_terminal(monkeypatch, "search", *arguments)
        assert "\x1b[36m" in shown
        plain = _without_codes(shown)
        assert "rerank" in plain.splitlines()[0]
        assert all(len(line) <= _COLUMNS for line in plain.splitlines()[:-1])
        assert plain.splitlines()[-1].startswith("BM25 ")
        assert "reranking 4" in plain

    def test_no_colour_where_none_is_wanted(
        self, index: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("NO_COLOR", "1")
        shown = _in_terminal(monkeypatch, "search", "--index", index, "--no-rerank", "cat")
        assert "mat" in shown
        assert "\x1b[36m" not in shown


def _in_terminal(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> str:
    """Run a command line in this process, with a terminal for its output."""
    monkeypatch.setenv("COLUMNS", str(_COLUMNS))
    monkeypatch.setenv("TERM", "xterm-256color")
    ours, theirs = pty.openpty()
    with (
        ThreadPoolExecutor(1) as reader,
        os.fdopen(theirs, "w", encoding="utf-8") as terminal,
        monkeypatch.context() as patched,
    ):
        shown = reader.submit(_read_all, ours)
        patched.setattr(sys, "stdout", terminal)
        patched.setattr(sys, "stderr", terminal)
        try:
            assert main([str(argument) for argument in arguments]) == 0
        finally:
            terminal.close()  # which ends what the reader reads
        return shown.result(_PATIENCE)


def _read_all(descriptor: int) -> str:
    parts = []
    while True:
        try:
            part = os.read(descriptor, 65_536)
        except OSError:  # how Linux says that the other end is closed
            part = b""
        if not part:
            os.close(descriptor)
            return b"".join(parts).decode()
        parts.append(part)


def _without_codes(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", text)
