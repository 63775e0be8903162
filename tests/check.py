"""Run every check on the package as users get it; needs Python 3.11 or newer and nothing else.

    python3 tests/check.py              everything: lint, format, types, docs, tests
    python3 tests/check.py -k fusion    further arguments go to pytest
    python3 tests/check.py --quick      in two minutes, while you edit: lint, format, types, and
                                        the unit tests, of the checkout as it is

The first two make an environment (.check/venv), build the wheel, install that wheel with the tools
at the versions of tests/constraints.txt, and stop at the first check that fails. The tests against
real servers need a JDK 17 and a JDK 21 or newer, and Maven; without them they are skipped, or fail
where the environment variable CI is set. ``--quick`` installs the checkout itself into .check/quick
the first time, and again when pyproject.toml or the constraints change; it leaves out the tests
marked ``server`` or ``slow``.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
import venv
from hashlib import sha256
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parents[1]
WORK = ROOT / ".check"
CONSTRAINTS = ROOT / "tests" / "constraints.txt"
QUICK = "--quick"


class Environment:
    """A virtual environment in .check/ with twopass and the tools.

    Args:
        name: of its folder.

    """

    def __init__(self, name: str) -> None:
        self.folder = WORK / name
        self.bin = self.folder / ("Scripts" if os.name == "nt" else "bin")

    def create(self) -> None:
        """Make a new one, with uv in it."""
        print("== environment", flush=True)
        venv.create(self.folder, clear=True, with_pip=True)
        run("uv", self.bin / "python", "-m", "pip", "install", "-q", "uv")

    def build_wheel(self) -> Path:
        """Build the wheel of the checkout."""
        for old in (WORK / "dist").glob("*.whl"):
            old.unlink()
        run("wheel", self.bin / "uv", "build", "-q", "--wheel", "--out-dir", WORK / "dist")
        (wheel,) = (WORK / "dist").glob("*.whl")
        return wheel

    def install(self, *requirement: str) -> None:
        """Install twopass, as arguments of ``uv pip install`` name it."""
        run(
            "install",
            *(self.bin / "uv", "pip", "install", "-q", "--python", self.bin / "python"),
            *("--constraint", CONSTRAINTS, *requirement),
        )

    def check_code(self) -> None:
        """Lint, format and types."""
        run("lint", self.bin / "ruff", "check", "--no-cache", ".")
        run("format", self.bin / "ruff", "format", "--no-cache", "--check", ".")
        run("types", self.bin / "mypy", "--cache-dir", WORK / "mypy")

    def test(self, *arguments: str) -> NoReturn:
        """Run pytest last, so that its closing line is the last one, and end with its status."""
        print("== tests", flush=True)
        pytest = [str(self.bin / "pytest"), "-p", "no:cacheprovider", *arguments]
        sys.exit(subprocess.run(pytest, cwd=ROOT, check=False).returncode)


def run(title: str, *command: str | Path) -> None:
    """Run one step in the repository's root; end the program with its status if it fails."""
    print(f"== {title}", flush=True)
    start = time.perf_counter()
    status = subprocess.run([str(part) for part in command], cwd=ROOT, check=False).returncode
    if status:
        sys.exit(f"== {title}: failed with status {status}")
    print(f"== {title}: ok, {time.perf_counter() - start:.0f} s", flush=True)


def check_everything(arguments: list[str]) -> NoReturn:
    """Check and test the package as users get it."""
    environment = Environment("venv")
    environment.create()
    environment.install(f"twopass[dev] @ {environment.build_wheel().as_uri()}")
    environment.check_code()
    run("docs", environment.bin / "sphinx-build", "-q", "-W", "--keep-going", "docs", WORK / "docs")
    environment.test(*arguments)


def check_quickly(arguments: list[str]) -> NoReturn:
    """Check the checkout, without servers and slow tests."""
    environment = Environment("quick")
    wanted = sha256((ROOT / "pyproject.toml").read_bytes() + CONSTRAINTS.read_bytes()).hexdigest()
    installed = environment.folder / "installed"
    if not installed.is_file() or installed.read_text() != wanted:
        environment.create()
        environment.install("--editable", f"{ROOT}[dev]")
        installed.write_text(wanted)
    environment.check_code()
    environment.test("-m", "not server and not slow", *arguments)


def main(arguments: list[str]) -> NoReturn:
    """Check everything, or quickly."""
    if sys.version_info < (3, 11):
        sys.exit(f"twopass needs Python 3.11 or newer, this is {sys.version.split()[0]}")
    if QUICK in arguments:
        check_quickly([each for each in arguments if each != QUICK])
    check_everything(arguments)


if __name__ == "__main__":
    main(sys.argv[1:])
