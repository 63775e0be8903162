"""The image, without an engine that could build it: linted, and what it runs run outside of it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import metadata
from pathlib import Path

from servers import free_port

FOLDER = Path(__file__).resolve().parents[2] / "docker"
ROOT = FOLDER.parent
PROGRAMS = Path(sys.executable).parent
SECONDS = 120


def instructions() -> list[tuple[str, str]]:
    """Read the Dockerfile's instructions, each on one line."""
    lines = (FOLDER / "Dockerfile").read_text().splitlines()
    text = "\n".join(line for line in lines if not line.startswith("#"))
    whole = re.sub(r"\\\n\s*", "", text).splitlines()
    return [(line.split()[0], line.split(maxsplit=1)[1]) for line in whole if line.strip()]


def last(name: str) -> str:
    return [rest for instruction, rest in instructions() if instruction == name][-1]


def environment() -> dict[str, str]:
    """Return what the image sets of our own settings, but for a port that is free here."""
    given = dict(pair.split("=", 1) for pair in last("ENV").split())
    ours = {name: value for name, value in given.items() if name.startswith("TWOPASS_")}
    outside = {k: v for k, v in os.environ.items() if not k.startswith("TWOPASS_")}
    return {**outside, **ours, "TWOPASS_SERVE__PORT": str(free_port()), "OMP_NUM_THREADS": "1"}


def health(environment: dict[str, str]) -> int:
    """Run the image's own health check."""
    program, *arguments = json.loads(last("HEALTHCHECK").partition(" CMD ")[2])
    assert program == "python"
    done = subprocess.run(
        [sys.executable, *arguments], env=environment, capture_output=True, check=False
    )
    return done.returncode


@contextmanager
def running(environment: dict[str, str], folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    command = [*json.loads(last("ENTRYPOINT")), *json.loads(last("CMD"))]
    assert command == ["twopass", "serve"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [PROGRAMS / "twopass", "serve"],
            env=environment,
            cwd=folder,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def test_the_linter_finds_nothing() -> None:
    done = subprocess.run(
        [PROGRAMS / "hadolint", "--no-color", FOLDER / "Dockerfile"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_all_that_is_copied_is_there_and_not_ignored() -> None:
    lines = (FOLDER / "Dockerfile.dockerignore").read_text().splitlines()
    sent = {line[1:] for line in lines if line.startswith("!")}
    copied: set[str] = set()
    for instruction, rest in instructions():
        if instruction == "COPY" and "--from" not in rest:
            copied.update(rest.split()[:-1])
    assert copied == sent
    assert all((ROOT / name).exists() for name in copied)


def test_its_extras_are_the_packages() -> None:
    asked = set(re.findall(r"--extra (\w+)", " ".join(rest for _, rest in instructions())))
    assert "serve" in asked
    assert asked <= set(metadata("twopass").get_all("Provides-Extra") or [])


def test_it_turns_off_what_reports() -> None:
    given = dict(pair.split("=", 1) for pair in last("ENV").split())
    assert given["ORT_DISABLE_TELEMETRY"] == given["HF_HUB_DISABLE_TELEMETRY"] == "1"


def test_it_does_not_run_as_root() -> None:
    assert last("USER") == "10001"
    assert last("EXPOSE") == "8765"


def test_what_it_runs_is_healthy_answers_and_ends_when_told(tmp_path: Path) -> None:
    around = environment()
    assert health(around) != 0
    with running(around, tmp_path) as process:
        deadline = time.monotonic() + SECONDS
        while health(around) != 0:
            assert process.poll() is None, (tmp_path / "log").read_text()[-2000:]
            assert time.monotonic() < deadline
            time.sleep(0.2)
        port = around["TWOPASS_SERVE__PORT"]
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz") as answer:
            assert json.load(answer)["status"] == "ok"
        process.terminate()
        assert process.wait(60) in (0, -signal.SIGTERM)  # the server hands the signal on at last
        assert "Application shutdown complete" in (tmp_path / "log").read_text()
    assert health(around) != 0
