"""Real search servers for tests: Elasticsearch and OpenSearch, fetched, unpacked and started.

The packages come from Maven Central through ``mvn``, are checked by SHA-256 and unpacked once into
a cache (``TWOPASS_TEST_CACHE``). A server runs on loopback, with folders of its own that go when
it stops; as root it runs as ``nobody``, since both servers refuse root.
"""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["ELASTICSEARCH", "OPENSEARCH", "Package", "Server", "ServerUnavailable"]

_NOBODY = 65534
_START_SECONDS = 240
_QUICK = "-XX:TieredStopAtLevel=1"  # no long compilation for servers that live for a minute
_STOP_SECONDS = 20


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
        return f"TWOPASS_TEST_{self.name.upper()}"

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
OPENSEARCH = Package(
    name="opensearch",
    group="org.opensearch.distribution.integ-test-zip",
    version="3.6.0",
    sha256="a91faa1dc1cadc78cb278b4f63847e19e1627a4e9de698e14e7efc14ee37b286",
    java=21,
    prefix="OPENSEARCH",
)


@dataclass
class Server:
    """A server of a package: started by :meth:`start`, gone after :meth:`stop`.

    Attributes:
        package: what runs.
        settings: further lines of its configuration file.
        heap: of the Java machine.

    """

    package: Package
    settings: Mapping[str, str] = field(default_factory=dict)
    heap: str = "512m"
    url: str = field(default="", init=False)
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)
    _folder: Path | None = field(default=None, init=False)

    def start(self) -> Server:
        """Start the server and wait until it answers."""
        home, java = self.package.home(), self.package.java_home()
        port = _free_port()
        self._folder = Path(tempfile.mkdtemp(prefix=f"twopass-{self.package.name}-"))
        environment = self._prepare(home, java, port)
        atexit.register(self.stop)
        with (self._folder / "output").open("wb") as output:
            self._process = subprocess.Popen(
                [home / "bin" / self.package.name],
                env=environment,
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # a group of its own, so that all of it can be ended
                **({"user": _NOBODY, "group": _NOBODY, "extra_groups": []} if _root() else {}),
            )
        self.url = f"http://127.0.0.1:{port}"
        self._wait()
        return self

    def stop(self) -> None:
        """End the server and remove its folders; does nothing when it is not running."""
        atexit.unregister(self.stop)
        process, self._process = self._process, None
        if process is not None:
            for how in (signal.SIGTERM, signal.SIGKILL):
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, how)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(_STOP_SECONDS)
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _prepare(self, home: Path, java: Path, port: int) -> dict[str, str]:
        """Write the configuration; return the environment."""
        folder, package = self._folder, self.package
        assert folder is not None
        for name in ("data", "logs", "tmp"):
            (folder / name).mkdir()
        shutil.copytree(home / "config", folder / "config")
        settings = {
            "cluster.name": folder.name,
            "discovery.type": "single-node",
            "http.port": str(port),
            "network.host": "127.0.0.1",
            "transport.port": str(_free_port()),
            "path.data": str(folder / "data"),
            "path.logs": str(folder / "logs"),
            "cluster.routing.allocation.disk.threshold_enabled": "false",
        } | dict(self.settings)
        lines = [f"{name}: {value}\n" for name, value in settings.items()]
        (folder / "config" / f"{package.name}.yml").write_text("".join(lines))
        options = folder / "config" / "jvm.options"  # these name folders beside the program
        options.write_text(options.read_text().replace("logs/", f"{folder}/logs/"))
        if _root():
            for path in [folder, *folder.rglob("*")]:
                os.chown(path, _NOBODY, _NOBODY)
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(folder),
            f"{package.prefix}_JAVA_HOME": str(java),
            f"{package.prefix}_JAVA_OPTS": f"-Xms{self.heap} -Xmx{self.heap} {_QUICK}",
            f"{package.prefix}_PATH_CONF": str(folder / "config"),
            f"{package.prefix}_TMPDIR": str(folder / "tmp"),
        }

    def _wait(self) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            if self._process is None or self._process.poll() is not None:
                break
            if _answers(self.url):
                return
            time.sleep(0.25)
        assert self._folder is not None
        output = (self._folder / "output").read_text(errors="replace")[-3000:]
        self.stop()
        raise ServerUnavailable(f"{self.package.name} did not start:\n{output}")


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/_cluster/health", timeout=5) as answer:
            return answer.status == 200
    except urllib.error.HTTPError as error:
        return error.code == 401  # it is up, and wants to know who asks
    except OSError:
        return False


def _root() -> bool:
    return hasattr(os, "geteuid") and os.geteuid() == 0


def _cache() -> Path:
    named = os.environ.get("TWOPASS_TEST_CACHE")
    if named:
        folder = Path(named)
    elif _root():  # nobody cannot read root's home
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


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
