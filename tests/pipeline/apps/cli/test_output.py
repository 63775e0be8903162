"""What commands write, at a terminal's width."""

from __future__ import annotations

import pytest

from twopass.pipeline.apps.cli.output import wrapped

TEXT = "a  table\n  an indented line that is longer than there is room for"


def test_lines_end_where_a_terminal_does_and_keep_their_indentation(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("twopass.pipeline.apps.cli.output.columns", lambda: 30)
    found = wrapped(TEXT).split("\n")
    assert found == [
        "a  table",
        "  an indented line that is",
        "  longer than there is room",
        "  for",
    ]


def test_a_pipe_gets_whole_lines() -> None:
    assert wrapped(TEXT) == TEXT
