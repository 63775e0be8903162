from __future__ import annotations

import json
from pathlib import Path

import pytest

from twopass.pipeline.apps.settings.description import describe
from twopass.pipeline.apps.settings.sources import known_names

from .conftest import Run


def test_every_setting_has_a_meaning() -> None:
    described = {setting.name: setting.meaning for setting in describe()}
    named = {name for name in known_names() if not name.endswith("*")}
    assert set(described) == named
    assert [name for name, meaning in described.items() if not meaning] == []


def test_the_page_is_up_to_date(run: Run) -> None:
    page = Path(__file__).resolve().parents[4] / "docs" / "settings.md"
    assert run("settings", "--markdown").out == page.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("given", "section", "value"),
    [
        ('proxy.allow=["*"]', "proxy.allow", ["*"]),
        ("proxy.allow=['_count', '*']", "proxy.allow", ["_count", "*"]),
        ('fusion={method = "rrf", k = 20}', "fusion", {"method": "rrf", "k": 20}),
        ('fusion={"method": "rrf", "k": 20}', "fusion", {"method": "rrf", "k": 20}),
        ("serve.models={small = 'twopass/tiny'}", "serve.models", {"small": "twopass/tiny"}),
        ("reranker.fallback=[cpu,none]", "reranker.fallback", ["cpu", "none"]),
        ("retriever.index={mine}", "retriever.index", "{mine}"),
    ],
)
def test_lists_and_tables_of_arguments(run: Run, given: str, section: str, value: object) -> None:
    done = run("settings", "--json", "-s", given)
    assert done.status == 0, done.err
    found = json.loads(done.out)
    for name in section.split("."):
        found = found[name]
    assert found == value


def test_a_list_that_is_none(run: Run) -> None:
    done = run("settings", "-s", 'proxy.allow=["*"')
    assert done.status == 2
    assert "argument proxy.allow: expected a valid tuple" in done.err


def test_what_is_in_force(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("twopass.toml").write_text("depth = 7\n[retriever]\npassword = 'open sesame'\n")
    monkeypatch.setenv("TWOPASS_K", "3")
    done = run("settings", "-s", "reranker.model=mine")
    assert done.status == 0, done.err
    for line in ("depth = 7   (default: 100)", "k = 3   (default: 10)", 'reranker.model = "mine"'):
        assert line in done.out
    assert "retriever.password = (set)" in done.out
    assert "sesame" not in done.out
    plain = run("settings", "--json").out
    assert "sesame" not in plain
    assert json.loads(plain)["depth"] == 7
