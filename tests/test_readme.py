"""The README is true: its code runs, its commands parse, its links lead somewhere."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from pipeline.cli.app import build_parser

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def _blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, flags=re.M | re.S)


@pytest.mark.parametrize("code", _blocks("python"))
def test_the_code_runs(code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "README.md", "exec"), {"__name__": "readme"})


def _commands() -> list[list[str]]:
    text = re.sub(r"\\\n\s*", "", "\n".join(_blocks("console")))
    found = re.findall(r"^\$ (?:.*/bin/)?(twopass .*)$", text, flags=re.M)
    return [shlex.split(re.split(r"\s{3,}|\s\|\s", line)[0])[1:] for line in found]


@pytest.mark.parametrize("arguments", _commands(), ids=" ".join)
def test_the_commands_are_understood(arguments: list[str]) -> None:
    assert callable(build_parser().parse_args(arguments).run)


@pytest.mark.parametrize("target", re.findall(r"\]\((?!http)([^)#]+)\)", README))
def test_the_links_lead_somewhere(target: str) -> None:
    assert (ROOT / target).exists()
