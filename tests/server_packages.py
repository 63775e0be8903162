"""Packages of search servers for tests: fetched, checked, unpacked.

They come from Maven Central through ``mvn``, are checked by SHA-256 and unpacked once into a cache
(``TWOPASS_TEST_CACHE``).
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import subprocess
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

__all__ = [
    "ELASTICSEARCH",
    "ELASTICSEARCH_9",
    "OPENSEARCH",
    "Package",
    "ServerUnavailable",
    "is_root",
]


class ServerUnavailable(Exception):  # noqa: N818 - a state of the machine
    """A server cannot be had here; the message says what is missing."""


@dataclass(frozen=True)
class Package:
    """One version of a server.

    Attributes:
        name: of its start script and configuration file.
        group: Maven's group id; the artifact is called as the server.
        version: the version.
        sha256: of the zip, in hexadecimal.
        java: the oldest Java release that runs it.
        prefix: of the environment variables that its start script reads.

    """

    name: str
    group: str
    version: str
    sha256: str
    java: int
    prefix: str

    @property
    def url_variable(self) -> str:
        """The environment variable that names a running server to use instead."""
        major = self.version.partition(".")[0]
        newer = f"_{major}" if self.name == "elasticsearch" and major != "8" else ""
        return f"TWOPASS_TEST_{self.name.upper()}{newer}"

    def home(self) -> Path:
        """Return the folder of the unpacked package, fetching it where it is missing."""
        home = _cache() / f"{self.name}-{self.version}-{self.sha256[:12]}"
        if not home.is_dir():
            archive = self._archive()
            found = hashlib.sha256(archive.read_bytes()).hexdigest()
            if found != self.sha256:
                raise ServerUnavailable(f"{archive}: expected SHA-256 {self.sha256}, found {found}")
            _unpack(archive, home)
        return home

    def _archive(self) -> Path:
        folder = Path.home() / ".m2" / "repository" / Path(*self.group.split("."))
        archive = folder / self.name / self.version / f"{self.name}-{self.version}.zip"
        if not archive.is_file():
            artifact = f"{self.group}:{self.name}:{self.version}:zip"
            self._fetch(artifact)
        if not archive.is_file():
            raise ServerUnavailable(f"mvn fetched {artifact}, but it is not at {archive}")
        return archive

    def _fetch(self, artifact: str) -> None:
        if shutil.which("mvn") is None:
            raise ServerUnavailable(f"{artifact}: install Maven (mvn), or set {self.url_variable}")
        command = ["mvn", "-B", "-q", "dependency:get", f"-Dartifact={artifact}"]
        done = subprocess.run(
            [*command, "-Dtransitive=false"], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise ServerUnavailable(f"mvn could not fetch {artifact}: {done.stdout[-1000:]}")

    def java_home(self) -> Path:
        """Return the oldest suitable Java on this machine."""
        named = [os.environ.get(f"{self.prefix}_JAVA_HOME"), os.environ.get("JAVA_HOME")]
        places = [Path(path) for path in named if path] + sorted(Path("/usr/lib/jvm").glob("*"))
        suitable = [(release, place) for place in places if (release := _release(place))]
        suitable = [pair for pair in suitable if pair[0] >= self.java]
        if not suitable:
            raise ServerUnavailable(
                f"{self.name} {self.version} needs Java {self.java} or newer; "
                f"set {self.prefix}_JAVA_HOME to one"
            )
        return min(suitable)[1]


ELASTICSEARCH = Package(
    name="elasticsearch",
    group="org.elasticsearch.distribution.integ-test-zip",
    version="8.19.21",
    sha256="215d5f3dbf0609a149f6218a9e47b6ae2df34ebbff3c5754e35f15a5e5393c8a",
    java=17,
    prefix="ES",
)
ELASTICSEARCH_9 = Package(
    name="elasticsearch",
    group=ELASTICSEARCH.group,
    version="9.2.0",
    sha256="bf44938a0490ba2a303d39c9cb64b38963dd08c812ce93e10816e878585bcb6b",
    java=21,
    prefix="ES",
)
OPENSEARCH = Package(
    name="opensearch",
    group="org.opensearch.distribution.integ-test-zip",
    version="3.6.0",
    sha256="a91faa1dc1cadc78cb278b4f63847e19e1627a4e9de698e14e7efc14ee37b286",
    java=21,
    prefix="OPENSEARCH",
)


def _cache() -> Path:
    named = os.environ.get("TWOPASS_TEST_CACHE")
    if named:
        folder = Path(named)
    elif is_root():  # nobody cannot read root's home
        folder = Path("/var/tmp/twopass-test-cache")
    else:
        base = os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")
        folder = Path(base) / "twopass-test"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _unpack(archive: Path, home: Path) -> None:
    """Unpack the one folder of an archive as ``home``: all of it or nothing."""
    with tempfile.TemporaryDirectory(dir=home.parent) as scratch:
        with zipfile.ZipFile(archive) as package:
            package.extractall(scratch)
        (unpacked,) = Path(scratch).iterdir()
        for script in (unpacked / "bin").iterdir():
            script.chmod(0o755)
        with contextlib.suppress(OSError):  # another run may have been quicker
            unpacked.rename(home)


def _release(java_home: Path) -> int:
    """Return the feature release of a Java, 0 where there is none."""
    program = java_home / "bin" / "java"
    if not program.is_file():
        return 0
    done = subprocess.run([program, "-version"], capture_output=True, text=True, check=False)
    digits = done.stderr.partition('"')[2].partition(".")[0].partition('"')[0]
    return int(digits) if digits.isdigit() else 0


def is_root() -> bool:
    """Tell whether this process may do everything, which both servers refuse to."""
    return hasattr(os, "geteuid") and os.geteuid() == 0
