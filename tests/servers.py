"""Real search servers for tests: Elasticsearch and OpenSearch, started, killed and started again.

A server runs on loopback, with folders of its own that go when it stops; as root it runs as
``nobody``, since both servers refuse root.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from server_packages import ELASTICSEARCH, OPENSEARCH, Package, ServerUnavailable, is_root

__all__ = [
    "ELASTICSEARCH",
    "OPENSEARCH",
    "Cluster",
    "Package",
    "Server",
    "ServerUnavailable",
    "free_port",
]

_NOBODY = 65534
_START_SECONDS = 240
_QUICK = "-XX:TieredStopAtLevel=1"  # no long compilation for servers that live for a minute
_STOP_SECONDS = 20


@dataclass
class Server:
    """A server of a package: started by :meth:`start`, gone after :meth:`stop`.

    Attributes:
        package: what runs.
        settings: further lines of its configuration file.
        heap: of the Java machine.
        password: of the user ``elastic``; for an Elasticsearch whose settings ask for one.
        files: further files of its configuration folder, by name.

    """

    package: Package
    settings: Mapping[str, str] = field(default_factory=dict)
    heap: str = "512m"
    password: str = ""
    files: Mapping[str, bytes] = field(default_factory=dict)
    port: int = field(default=0, init=False)
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)
    _folder: Path | None = field(default=None, init=False)

    @property
    def url(self) -> str:
        """The server's address, the same after it has been killed and started again."""
        secure = self.settings.get("xpack.security.http.ssl.enabled") == "true"
        return f"http{'s' if secure else ''}://127.0.0.1:{self.port}"

    def start(self) -> Server:
        """Start the server and wait until it answers; with what it held before it was killed."""
        self.launch()
        self.wait()
        return self

    def launch(self) -> None:
        """Start the server and do not wait."""
        home, java = self.package.home(), self.package.java_home()
        if self._folder is None:
            self.port = self.port or free_port()
            self._folder = Path(tempfile.mkdtemp(prefix=f"twopass-{self.package.name}-"))
            self._configure(home, java, self._folder)
        atexit.register(self.stop)
        with (self._folder / "output").open("ab") as output:
            self._process = subprocess.Popen(
                [home / "bin" / self.package.name],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # a group of its own, so that all of it can be ended
                **self._ways(java, self._folder),
            )

    def wait(self) -> None:
        """Wait until the server answers.

        Raises:
            ServerUnavailable: when it ends or takes too long; with what it said last.

        """
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

    def kill(self) -> None:
        """End the server at once, as a failing machine would; what it has on disk stays."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End the server and remove its folders; does nothing when it is not running."""
        atexit.unregister(self.stop)
        self._end(signal.SIGTERM, signal.SIGKILL)
        folder, self._folder = self._folder, None
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)

    def _end(self, *signals: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        for how in signals:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, how)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_STOP_SECONDS)

    def _configure(self, home: Path, java: Path, folder: Path) -> None:
        """Write all that the server reads when it starts."""
        package, config = self.package, folder / "config"
        for name in ("data", "logs", "tmp"):
            (folder / name).mkdir()
        shutil.copytree(home / "config", config)
        settings = {
            "cluster.name": folder.name,
            "discovery.type": "single-node",
            "http.port": str(self.port),
            "network.host": "127.0.0.1",
            "transport.port": str(free_port()),
            "path.data": str(folder / "data"),
            "path.logs": str(folder / "logs"),
            "cluster.routing.allocation.disk.threshold_enabled": "false",
        } | dict(self.settings)
        lines = [f"{name}: {value}\n" for name, value in settings.items()]
        (config / f"{package.name}.yml").write_text("".join(lines))
        for name, content in self.files.items():
            (config / name).write_bytes(content)
        options = config / "jvm.options"  # these name folders beside the program
        options.write_text(options.read_text().replace("logs/", f"{folder}/logs/"))
        if is_root():
            for path in [folder, *folder.rglob("*")]:
                os.chown(path, _NOBODY, _NOBODY)
        if self.password:
            subprocess.run(
                [home / "bin" / "elasticsearch-keystore", "add", "-x", "-f", "bootstrap.password"],
                input=self.password.encode(),
                capture_output=True,
                check=True,
                **self._ways(java, folder),
            )

    def _ways(self, java: Path, folder: Path) -> dict[str, Any]:
        """Return how the package's programs are run: where, as whom, in which environment."""
        prefix = self.package.prefix
        environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(folder),
            f"{prefix}_JAVA_HOME": str(java),
            f"{prefix}_JAVA_OPTS": f"-Xms{self.heap} -Xmx{self.heap} {_QUICK}",
            f"{prefix}_PATH_CONF": str(folder / "config"),
            f"{prefix}_TMPDIR": str(folder / "tmp"),
        }
        user = {"user": _NOBODY, "group": _NOBODY, "extra_groups": []} if is_root() else {}
        return {"cwd": folder, "env": environment} | user


class Cluster:
    """Several Elasticsearch nodes that hold their indices together.

    Attributes:
        nodes: the servers; any of them may be killed.

    """

    def __init__(self, nodes: int = 3, heap: str = "400m") -> None:
        names = [f"node-{number}" for number in range(nodes)]
        ports = [free_port() for _ in names]
        seeds = ", ".join(f'"127.0.0.1:{port}"' for port in ports)
        common = {
            "xpack.security.enabled": "false",
            "cluster.name": "twopass-cluster",
            "discovery.type": "multi-node",
            "discovery.seed_hosts": f"[{seeds}]",
            "cluster.initial_master_nodes": f"[{', '.join(names)}]",
        }
        self.nodes = [
            Server(ELASTICSEARCH, common | {"node.name": name, "transport.port": str(port)}, heap)
            for name, port in zip(names, ports, strict=True)
        ]

    @property
    def urls(self) -> Sequence[str]:
        """The nodes' addresses."""
        return [node.url for node in self.nodes]

    def start(self) -> Cluster:
        """Start all nodes and wait until they have found each other."""
        try:
            for node in self.nodes:
                node.launch()
            for node in self.nodes:
                node.wait()
            wanted = f"wait_for_nodes={len(self.nodes)}&timeout={_START_SECONDS}s"
            _open(f"{self.urls[0]}/_cluster/health?{wanted}", _START_SECONDS)
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """End all nodes."""
        for node in self.nodes:
            node.stop()


def _answers(url: str) -> bool:
    try:
        return _open(f"{url}/_cluster/health", timeout=5) == 200
    except urllib.error.HTTPError as error:
        return error.code == 401  # it is up, and wants to know who asks
    except OSError:
        return False


def _open(url: str, timeout: float) -> int:
    """Return the status of an answer, whoever signed the server's certificate."""
    trusting = ssl.create_default_context()
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
    with urllib.request.urlopen(url, timeout=timeout, context=trusting) as answer:
        status: int = answer.status
        return status


def free_port() -> int:
    """Return a port of the loopback address that nobody listens at."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
