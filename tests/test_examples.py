from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

APP = Path(__file__).resolve().parents[1] / "examples" / "app.py"


def test_the_app_is_short() -> None:
    assert len(APP.read_text(encoding="utf-8").splitlines()) < 40


def test_the_app_prints_a_reranked_result() -> None:
    question = "what helps against a migraine?"
    done = subprocess.run([sys.executable, APP, question], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert [line[0] for line in lines] == list("12345")
    assert all(re.match(r"\d \(BM25: \d+\)  \S", line) for line in lines)


def test_the_app_says_in_its_help_what_it_takes() -> None:
    done = subprocess.run([sys.executable, APP, "--help"], capture_output=True, text=True)
    assert done.returncode == 0
    assert "--corpus" in done.stdout
