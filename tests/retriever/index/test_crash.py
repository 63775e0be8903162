"""A writer that is killed loses nothing that it had committed, and leaves nothing half."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="the writers are forks")


def crash(folder: Path, kills: int, seed: str) -> dict[str, int]:
    script = Path(__file__).with_name("crashing.py")
    done = subprocess.run(
        [sys.executable, script, folder, str(kills), seed], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_killed_writer_loses_no_commit(tmp_path: Path) -> None:
    outcome = crash(tmp_path / "index", 40, "a")
    assert outcome["kills_after_a_commit"] >= 20


@pytest.mark.slow
def test_hundreds_of_killed_writers_lose_no_commit(tmp_path: Path) -> None:
    outcome = crash(tmp_path / "index", 300, "b")
    assert outcome["kills_after_a_commit"] >= 150
