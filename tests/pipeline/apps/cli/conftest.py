from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from twopass.pipeline.apps.cli import main

DOCUMENTS = [
    {"_id": "cat", "title": "Cats", "text": "A cat sat on the mat and slept.", "year": 1999},
    {
        "_id": "dog",
        "title": "Dogs",
        "text": "A dog chased the cat around the garden.",
        "year": 2005,
    },
    {"_id": "owl", "title": "Owls", "text": "Owls hunt mice at night.", "year": 2010},
    {"_id": "mouse", "text": "The mouse fears the cat, and the owl too.", "year": 2020},
]


@dataclass(frozen=True)
class Done:
    status: int
    out: str
    err: str


Run = Callable[..., Done]


@pytest.fixture(autouse=True)
def _nothing_around(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in [name for name in os.environ if name.upper().startswith("TWOPASS_")]:
        monkeypatch.delenv(variable)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Iterator[Run]:
    """Run a command line in this process; the logs that it set up end with the test."""

    def run(*arguments: object) -> Done:
        capfd.readouterr()
        try:
            status = main([str(argument) for argument in arguments])
        except SystemExit as ended:
            status = int(ended.code or 0)
        return Done(status, *capfd.readouterr())

    loggers = [logging.getLogger(name) for name in (None, "twopass", "uvicorn")]
    before = [(logger, logger.handlers[:], logger.level) for logger in loggers]
    yield run
    for logger, handlers, level in before:
        logger.handlers[:] = handlers
        logger.setLevel(level)


def write_corpus(path: Path, documents: list[dict[str, Any]] = DOCUMENTS) -> Path:
    path.write_text("".join(json.dumps(document) + "\n" for document in documents))
    return path


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    return write_corpus(tmp_path / "corpus.jsonl")


@pytest.fixture
def index(run: Run, corpus: Path, tmp_path: Path) -> Path:
    assert run("index", corpus, "--out", tmp_path / "index").status == 0
    return tmp_path / "index"
