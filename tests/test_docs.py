"""The README and the documentation are true: their code runs, their commands parse, links lead on.

Code between ```` ```python ```` fences is run, each block on its own in an empty folder; what needs
a server or a file of the reader's stands between ```` ```py ```` fences.
"""

from __future__ import annotations

import gc
import re
import shlex
import warnings
from collections.abc import Iterator
from pathlib import Path
from pkgutil import resolve_name

import pytest

import twopass
from twopass.pipeline.apps.cli import build_parser
from twopass.pipeline.fusion import fusions, normalizers
from twopass.pipeline.fusion.base import METHODS

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "ARCHITECTURE.md", *sorted((ROOT / "docs").rglob("*.md"))]
FOLDERS = "retriever|reranker|pipeline|benchmarks|tests|examples|docker|docs"


def _blocks(page: Path, language: str) -> list[str]:
    text = page.read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.M | re.S)


def _all_blocks(language: str) -> Iterator[object]:
    for page in PAGES:
        if page.name == "extending.md":  # its blocks register names: tests/test_extending.py
            continue
        for number, block in enumerate(_blocks(page, language), 1):
            yield pytest.param(block, id=f"{page.name}-{number}")


@pytest.mark.parametrize("code", list(_all_blocks("python")))
def test_the_code_runs(code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(METHODS, "_functions", dict(METHODS._functions))  # what it adds goes again
    names = {"__name__": "documentation"}
    exec(compile(code, "documentation", "exec"), names)
    names.clear()
    with warnings.catch_warnings():  # an example need not close what it opens
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.mark.parametrize("page", [PAGES[0], ROOT / "docs" / "index.md"], ids=lambda page: page.name)
def test_the_first_example_prints_what_stands_below_it(
    page: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    exec(compile(_blocks(page, "python")[0], page.name, "exec"), {})
    assert capsys.readouterr().out == _blocks(page, "text")[0]


def _commands() -> list[list[str]]:
    blocks = [block for page in PAGES for block in _blocks(page, "console")]
    text = re.sub(r"\\\n\s*", "", "\n".join(blocks))
    found = re.findall(r"^\$ (?:.*/bin/)?(twopass .*)$", text, flags=re.M)
    commands = [shlex.split(re.split(r"\s{3,}|\s\|\s", line)[0])[1:] for line in found]
    return [command for command in commands if "--help" not in command]


@pytest.mark.parametrize("arguments", _commands(), ids=" ".join)
def test_the_commands_are_understood(arguments: list[str]) -> None:
    assert callable(build_parser().parse_args(arguments).run)


def _links() -> Iterator[object]:
    for page in PAGES:
        for target in re.findall(r"\]\((?!http)([^)#\s]+)", page.read_text(encoding="utf-8")):
            yield pytest.param(page.parent / target, id=f"{page.name}-{target}")


@pytest.mark.parametrize("target", list(_links()))
def test_the_links_lead_somewhere(target: Path) -> None:
    assert target.exists()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_of_the_repository_are_named_as_they_are(page: Path) -> None:
    named = re.findall(rf"`((?:{FOLDERS})/[\w./-]*)`", page.read_text(encoding="utf-8"))
    assert [name for name in named if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_dotted_names_of_the_package_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for name in set(re.findall(r"`(twopass\.(?:retriever|reranker|pipeline)[\w.]*)`", text)):
        assert resolve_name(name), name


def test_every_public_name_is_in_the_reference() -> None:
    text = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    described = set(re.findall(r"^\.\. auto\w+:: twopass\.(\w+)$", text, flags=re.M))
    assert described == {name for name in twopass.__all__ if name != "__version__"}


def test_every_method_and_normaliser_is_described() -> None:
    text = (ROOT / "docs" / "fusion.md").read_text(encoding="utf-8")
    methods, normalisers = text.split("\n## ")[1:3]
    for section, names in ((methods, fusions()), (normalisers, normalizers())):
        cells = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
        assert set(re.findall(r"`([^`]+)`", " ".join(cells))) == set(names)
