from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
APP = EXAMPLES / "app.py"


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


def test_questions_over_a_table(tmp_path: Path) -> None:
    table = tmp_path / "products.csv"
    table.write_text("sku,name,about\n1,Hat,A warm hat of wool.\n2,Tent,A tent for two.\n")
    columns = ("--id", "sku", "--title", "name", "--text", "about")
    command = [sys.executable, EXAMPLES / "products.py", table, "warm wool hat", *columns]
    done = [subprocess.run(command, capture_output=True, text=True) for _ in range(2)]
    assert [each.returncode for each in done] == [0, 0], done
    assert done[0].stdout.split()[1:3] == ["1", "Hat:"]
    assert done[1].stdout == done[0].stdout  # from the index that is kept


def test_the_evaluation_in_cells() -> None:
    command = [sys.executable, EXAMPLES / "evaluate_demo.py"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert re.search(r"^BM25 +nDCG@10 0\.\d{4}$", done.stdout, re.M)
    assert re.search(r"^recommended: \d+$", done.stdout, re.M)
