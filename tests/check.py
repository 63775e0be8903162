"""Run every check on the package as users get it; needs Python 3.11 or newer and nothing else.

    python3 tests/check.py              everything: lint, format, types, docs, tests
    python3 tests/check.py -k fusion    further arguments go to pytest

It makes an environment of its own (.check/), builds the wheel, installs that wheel with the tools
at the versions of tests/constraints.txt, and stops at the first check that fails. The tests against
real servers need a JDK 17 and a JDK 21 or newer, and Maven; without them they are skipped, or fail
where the environment variable CI is set.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
WORK = ROOT / ".check"
BIN = WORK / "venv" / ("Scripts" if os.name == "nt" else "bin")


def run(title: str, *command: str | Path) -> None:
    """Run one step in the repository's root; end the program with its status if it fails."""
    print(f"== {title}", flush=True)
    start = time.perf_counter()
    status = subprocess.run([str(part) for part in command], cwd=ROOT, check=False).returncode
    if status:
        sys.exit(f"== {title}: failed with status {status}")
    print(f"== {title}: ok, {time.perf_counter() - start:.0f} s", flush=True)


def install() -> None:
    """Build the wheel and install it, with the tools, into a new environment."""
    print("== environment", flush=True)
    venv.create(WORK / "venv", clear=True, with_pip=True)
    run("uv", BIN / "python", "-m", "pip", "install", "-q", "uv")
    for old in (WORK / "dist").glob("*.whl"):
        old.unlink()
    run("wheel", BIN / "uv", "build", "-q", "--wheel", "--out-dir", WORK / "dist")
    (wheel,) = (WORK / "dist").glob("*.whl")
    constraints = ROOT / "tests" / "constraints.txt"
    run(
        "install",
        *(BIN / "uv", "pip", "install", "-q", "--python", BIN / "python"),
        *("--constraint", constraints, f"twopass[dev] @ {wheel.as_uri()}"),
    )


def main(arguments: list[str]) -> None:
    """Install, then check; pytest comes last, so that its closing line is the last one."""
    if sys.version_info < (3, 11):
        sys.exit(f"twopass needs Python 3.11 or newer, this is {sys.version.split()[0]}")
    install()
    run("lint", BIN / "ruff", "check", "--no-cache", ".")
    run("format", BIN / "ruff", "format", "--no-cache", "--check", ".")
    run("types", BIN / "mypy", "--cache-dir", WORK / "mypy")
    run("docs", BIN / "sphinx-build", "-q", "-W", "--keep-going", "docs", WORK / "docs")
    print("== tests", flush=True)
    pytest = [str(BIN / "pytest"), "-p", "no:cacheprovider", *arguments]
    sys.exit(subprocess.run(pytest, cwd=ROOT, check=False).returncode)


if __name__ == "__main__":
    main(sys.argv[1:])
