"""Nobody writes a line of the log, or to the terminal that shows it, by what is sent."""

from __future__ import annotations

import io
import json
import logging
import sys
from collections.abc import Iterator
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twopass.pipeline.apps.sidecar.middleware import configure_logs

FORGED = "/x\n2026-01-01 00:00:00,000 INFO forged\x1b[31m\x9b31m\u2028\u202e\r\ud800"


@pytest.fixture
def _kept() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def _logged(style: Literal["json", "text"], message: str, path: str, error: str) -> str:
    output, before = io.StringIO(), sys.stderr
    sys.stderr = output
    try:
        configure_logs(style)
    finally:
        sys.stderr = before
    try:
        raise ValueError(error)
    except ValueError:
        about = {"about": {"path": path}}
        logging.getLogger("twopass").exception("%s", message, extra=about)
    return output.getvalue()


@pytest.mark.usefixtures("_kept")
@pytest.mark.parametrize("where", [0, 1, 2])
def test_a_forged_line_is_escaped(where: int) -> None:
    parts = ["message", "/path", "error"]
    parts[where] = FORGED
    text = _logged("text", *parts)
    lines = text.splitlines()
    assert not any(line.startswith("2026-01-01") for line in lines)
    assert all(line.startswith("    ") for line in lines[1:])
    assert not set(text) & set("\x1b\x9b\u2028\u202e\r")
    text.encode()
    line = _logged("json", *parts)
    assert len(line.splitlines()) == 1
    assert not set(line) & set("\x1b\x9b\u2028\u202e\r")
    found: dict[str, Any] = json.loads(line)
    assert FORGED in (found["message"], found["path"], found["exception"].partition(": ")[2])


@pytest.mark.usefixtures("_kept")
@given(text=st.text())
def test_json_says_what_was_sent(text: str) -> None:
    assert json.loads(_logged("json", text, "", ""))["message"] == text
