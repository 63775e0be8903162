"""What a process and its children do to the network and to files, seen by strace."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

import pytest

__all__ = ["Observed", "observed"]

_CALLS = "network,open,openat,creat,mkdir,mkdirat,rename,renameat,renameat2,link,symlink"
_SENDS = re.compile(r"\b(?:connect|sendto|sendmsg|sendmmsg)\(")
_ADDRESS = re.compile(
    r"sin6?_port=htons\((\d+)\).*?(?:inet_addr\(|inet_pton\(AF_INET6, )\"([^\"]+)\""
)
_NAMES = re.compile(r"/etc/resolv\.conf|/var/run/nscd/socket|/run/systemd/resolve/")
_WRITES = re.compile(r"\b(?:creat|mkdir|mkdirat|rename\w*|link|symlink)\(|O_CREAT|O_WRONLY|O_RDWR")
_PATH = re.compile(r'"([^"]*)"')
_FAILED = re.compile(r"= -1 E[A-Z]+")


@dataclass(frozen=True)
class Observed:
    """A process that is, or was, watched.

    Attributes:
        process: strace; it ends when the process and all its children have.
        home: the user's folder, empty at the start.
        folder: the working directory.
        trace: the file of what was seen.

    """

    process: subprocess.Popen[str]
    home: Path
    folder: Path
    trace: Path

    def lines(self) -> list[str]:
        return self.trace.read_text(errors="replace").splitlines()

    def sent(self) -> list[str]:
        """Return what went, or tried to go, to another machine or to a name server."""
        return [line for line in self.lines() if _leaves(line)]

    def sought(self) -> list[str]:
        """Return signs that a host was looked up by its name, even if this machine knew it."""
        return [line for line in self.lines() if _NAMES.search(line)]

    def kept(self) -> list[str]:
        """Return what lies in the user's folder, but for this package's own cache."""
        found = sorted(path.relative_to(self.home).as_posix() for path in self.home.rglob("*"))
        own = re.compile(r"\.cache(/twopass(/.*)?)?")
        return [path for path in found if not own.fullmatch(path)]

    def written(self) -> set[str]:
        """Return what was opened for writing outside temporary folders and caches of bytecode."""
        allowed = (str(self.folder), tempfile.gettempdir(), "/dev/", "/proc/self/", "socket:")
        found = set()
        for line in self.lines():
            if not _WRITES.search(line) or _FAILED.search(line):
                continue
            for name in _PATH.findall(line):
                path = os.path.normpath(self.folder / name)
                if "__pycache__" not in path and not path.startswith(allowed):
                    found.add(path)
        return found

    def assert_nothing_left(self) -> None:
        """Fail if anything was sent elsewhere, asked of a name server, or written elsewhere."""
        found = {
            "sent": self.sent(),
            "sought": self.sought(),
            "kept": self.kept(),
            "written": sorted(self.written()),
        }
        assert not any(found.values()), found

    def stop(self) -> None:
        """End the processes as Ctrl-C or a supervisor would; strace stays until all have ended."""
        os.killpg(self.process.pid, signal.SIGTERM)
        self.process.wait(timeout=60)


def _leaves(line: str) -> bool:
    if not _SENDS.search(line):
        return False
    return any(
        port == "53" or not ip_address(address).is_loopback
        for port, address in _ADDRESS.findall(line)
    )


@contextmanager
def observed(command: Sequence[object], folder: Path, **environment: str) -> Iterator[Observed]:
    """Run a command under strace as a user would who has set nothing, except what is given.

    Without strace the test is skipped; in CI it fails.
    """
    tool = shutil.which("strace")
    if tool is None:
        absent = "strace is not installed, so that nothing can be seen"
        if os.environ.get("CI"):
            pytest.fail(f"CI must look what leaves the machine: {absent}")
        pytest.skip(absent)
    home = Path(tempfile.mkdtemp(prefix="home-", dir=folder))
    trace = folder / f"{home.name}.trace"
    process = subprocess.Popen(
        [tool, "-f", "--seccomp-bpf", "-s", "64", "-e", f"trace={_CALLS}", "-o", trace]
        + [str(part) for part in command],
        cwd=folder,
        env=_environment(home) | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        yield Observed(process, home, folder, trace)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def _environment(home: Path) -> dict[str, str]:
    """Without what makes libraries behave, as CI does, and without what moves their folders."""
    moved = re.compile(
        r"CI|TWOPASS_.*|XDG_.*|HF_.*|ORT_.*|DO_NOT_TRACK|\w*TELEMETRY\w*|.*_proxy", re.I
    )
    kept = {name: value for name, value in os.environ.items() if not moved.fullmatch(name)}
    return kept | {"HOME": str(home), "OMP_NUM_THREADS": "1"}
