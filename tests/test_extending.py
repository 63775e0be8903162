"""docs/extending.md is true: each block runs, in a process of its own, and so do entry points."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
SECTIONS = {
    f"{title}-{number}": code
    for title, section in re.findall(r"^## (.*?)\n(.*?)(?=^## |\Z)", TEXT, flags=re.M | re.S)
    for number, code in enumerate(re.findall(r"^```python\n(.*?)^```", section, flags=re.M | re.S))
}

PLUGIN = """
from dataclasses import dataclass

import numpy as np

from twopass.reranker.contract.scorer import Scorer
from twopass.reranker.contract.scores import Scores
from twopass.reranker.training.loss import Loss, loss_type


def comma(text):
    return [part.strip() for part in text.lower().split(",")]


def best_of(columns):
    "Take the best score of each document."
    return np.fmax.reduce(columns, axis=0).astype(np.float32)


class Constant:
    def __init__(self, settings):
        self.url = settings.url


class Shortest(Scorer):
    fingerprint = "shortest 1"

    def __init__(self, settings):
        self.device = settings.device

    def score(self, pairs, *, deadline=None):
        return Scores(np.array([-len(passage) for _, passage in pairs], dtype=np.float32))


@loss_type("teacher-mse", needs="teacher", citation="Somebody, 2026.")
@dataclass(frozen=True, slots=True)
class TeacherMSE(Loss):
    scale: float = 1.0

    def usable(self, example):
        return True

    def __call__(self, logits, labels, scores, mask):
        return ((logits - self.scale * scores) ** 2).mean(1)
"""
ENTRY_POINTS = {
    "twopass.analyzers": "comma = acme:comma",
    "twopass.fusions": "best-of = acme:best_of",
    "twopass.losses": "teacher-mse = acme:TeacherMSE",
    "twopass.retrievers": "constant = acme:Constant",
    "twopass.scorers": "shortest = acme:Shortest",
}
USES = {
    "analyzers": """
        from twopass.retriever import available_analyzers, get_analyzer
        assert "comma" in available_analyzers()
        assert "acme" not in __import__("sys").modules
        assert [t.term for t in get_analyzer("comma").tokens("A b, c")] == ["a b", "c"]
        assert get_analyzer("english").name == "english"
    """,
    "fusions": """
        import numpy as np
        from twopass import fusion
        assert fusion("best-of")(np.array([[1, 2], [4, 0]], dtype=np.float32)).tolist() == [4, 2]
    """,
    "losses": """
        from twopass.reranker.training import Recipe, RecipeError
        loss = Recipe(loss="teacher-mse", loss_parameters={"scale": 2.0}).make_loss()
        assert (loss.scale, loss.needs, loss.citation) == (2.0, "teacher", "Somebody, 2026.")
        try:
            Recipe(loss="absent")
        except RecipeError as error:
            assert "bce" in str(error) and "teacher-mse" in str(error), error
    """,
    "retrievers": """
        from twopass import load_settings
        from twopass.pipeline.apps.assembly import build_retriever
        given = {"retriever.kind": "constant", "retriever.url": "http://x:1"}
        assert build_retriever(load_settings(given)).url == "http://x:1"
        try:
            build_retriever(load_settings({"retriever.kind": "absent"}))
        except Exception as error:
            assert type(error).__name__ == "SettingsError"
            expected = "bm25, rank-bm25, elasticsearch, opensearch, constant, found 'absent'"
            assert expected in str(error), error
        else:
            raise AssertionError
    """,
    "scorers": """
        from twopass import load_settings
        from twopass.pipeline.apps.assembly import build_scorer
        given = {"reranker.model": "plugin:shortest", "reranker.device": "cpu"}
        scorer = build_scorer(load_settings(given))
        assert scorer.predict([("q", "long text"), ("q", "text")]).tolist() == [-9, -4]
        cached = build_scorer(load_settings(given | {"reranker.cache.megabytes": 1}))
        assert cached.predict([("q", "text")] * 2).tolist() == [-4, -4]
        for wrong in ({"reranker.model": "plugin:x"}, {"reranker.passages.aggregation": "max"}):
            try:
                build_scorer(load_settings(given | wrong))
            except Exception as error:
                assert type(error).__name__ == "SettingsError", error
            else:
                raise AssertionError(wrong)
    """,
}


def _run(code: str, folder: Path, *path: Path) -> None:
    search = os.pathsep.join(filter(None, (*map(str, path), os.environ.get("PYTHONPATH"))))
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": search},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("section", SECTIONS)
def test_the_page_runs(section: str, tmp_path: Path) -> None:
    _run(SECTIONS[section], tmp_path)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a distribution in it, as an installer leaves it."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "acme.py").write_text(PLUGIN, encoding="utf-8")
    info = folder / "acme-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1.0\n")
    points = "".join(f"[{group}]\n{line}\n" for group, line in ENTRY_POINTS.items())
    (info / "entry_points.txt").write_text(points)
    return folder


@pytest.mark.parametrize("group", USES)
def test_another_distribution_adds_one(group: str, installed: Path, tmp_path: Path) -> None:
    code = re.sub(r"^ {8}", "", USES[group], flags=re.M)
    _run(code, tmp_path, installed)


def test_every_group_of_the_page_is_one_that_is_read() -> None:
    assert set(re.findall(r'entry-points\."([\w.]+)"', TEXT)) == set(ENTRY_POINTS)
