"""Nothing leaves the machine unasked, and nothing is kept for sending later."""

from __future__ import annotations

import ast
import json
import sys
import time
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
from servers import free_port

from .observing import Observed, observed

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = Path(sys.executable).parent / "twopass"
SECONDS = 300  # however slow the machine is
UPLOAD = 12  # seconds; ONNX Runtime's first upload comes ten after its import

DOCUMENTS = [
    {"_id": "cat", "text": "A cat sat on the mat and slept."},
    {"_id": "owl", "text": "Owls hunt mice at night."},
    {"_id": "mouse", "text": "The mouse fears the cat, and the owl too."},
]
# Nobody may turn it on by the environment either.
WISHES = [{}, {"ORT_DISABLE_TELEMETRY": "0"}]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an index, a run and queries."""
    folder = tmp_path_factory.mktemp("telemetry")
    lines = (json.dumps(document) + "\n" for document in DOCUMENTS)
    (folder / "corpus.jsonl").write_text("".join(lines))
    (folder / "queries.tsv").write_text("q\tcat and owl\n")
    names = enumerate((document["_id"] for document in DOCUMENTS), 1)
    (folder / "run.trec").write_text(
        "".join(f"q Q0 {name} {rank} {9 - rank} bm25\n" for rank, name in names)
    )
    with observed([PROGRAM, "index", "corpus.jsonl", "--out", "index"], folder) as seen:
        assert finished(seen)[0] == 0
        seen.assert_nothing_left()
    return folder


def finished(seen: Observed) -> tuple[int, str]:
    out, err = seen.process.communicate(timeout=SECONDS)
    return seen.process.returncode, out + err


@pytest.mark.parametrize("wish", WISHES, ids=["unset", "on"])
def test_a_search(folder: Path, wish: dict[str, str]) -> None:
    command = [PROGRAM, "search", "--index", "index", "--json", "cat and owl"]
    with observed(command, folder, **wish) as seen:
        status, said = finished(seen)
        assert status == 0, said
        assert '"outcome": "complete"' in said
        seen.assert_nothing_left()


@pytest.mark.parametrize("wish", WISHES, ids=["unset", "on"])
def test_a_rerank(folder: Path, wish: dict[str, str]) -> None:
    out = f"better-{len(wish)}.trec"
    files = ["--run", "run.trec", "--corpus", "corpus.jsonl", "--queries", "queries.tsv"]
    with observed([PROGRAM, "rerank", *files, "--out", out], folder, **wish) as seen:
        status, said = finished(seen)
        assert status == 0, said
        assert len((folder / out).read_text().splitlines()) == len(DOCUMENTS)
        seen.assert_nothing_left()


def test_workers_that_serve(folder: Path) -> None:
    port = free_port()
    command = [PROGRAM, "serve", "--index", "index", "--port", port, "--workers", 2]
    with observed(command, folder, ORT_DISABLE_TELEMETRY="0") as seen:
        wait_until_ready(seen, port)
        until = time.monotonic() + UPLOAD
        assert len(post(port, "/search", {"query": "cat and owl"})["hits"]) == len(DOCUMENTS)
        texts = [document["text"] for document in DOCUMENTS]
        answer = post(port, "/rerank", {"query": "cat and owl", "documents": texts})
        assert len(answer["results"]) == len(DOCUMENTS)
        time.sleep(max(0.0, until - time.monotonic()))
        seen.stop()
        seen.assert_nothing_left()
        assert any("htons" in line for line in seen.lines())  # it was seen listening


def wait_until_ready(seen: Observed, port: int) -> None:
    until = time.monotonic() + SECONDS
    while True:
        assert seen.process.poll() is None, finished(seen)
        assert time.monotonic() < until
        try:
            if ask(port, "GET", "/readyz")[0] == 200:
                return
        except OSError:
            time.sleep(0.1)


def ask(port: int, method: str, path: str, body: str | None = None) -> tuple[int, bytes]:
    connection = HTTPConnection("127.0.0.1", port, timeout=SECONDS)
    try:
        connection.request(method, path, body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def post(port: int, path: str, body: object) -> Any:
    status, answer = ask(port, "POST", path, json.dumps(body))
    assert status == 200, answer
    return json.loads(answer)


_MEASURING = """
from twopass.reranker.training.emissions import measured

with measured("DEU") as held:
    sum(range(10**6))
print(held.emissions)
"""
# What codecarbon would read from the environment and from .codecarbon.config.
_CODECARBON = {
    "CODECARBON_OUTPUT_METHODS": "api,prometheus,csv",
    "CODECARBON_SAVE_TO_API": "true",
    "CODECARBON_API_KEY": "key",
    "CODECARBON_EXPERIMENT_ID": "3a202149-8be2-408c-a3d8-baeae2de2987",
    "CODECARBON_EMISSIONS_ENDPOINT": "http://192.0.2.1/emissions",
    "CODECARBON_ELECTRICITYMAPS_API_TOKEN": "token",
}


def test_emissions_are_measured_offline(folder: Path) -> None:
    pytest.importorskip("codecarbon")
    with observed([sys.executable, "-c", _MEASURING], folder, **_CODECARBON) as seen:
        status, said = finished(seen)
        assert status == 0, said
        assert "country='DEU'" in said
        seen.assert_nothing_left()


_ON_RAY = """
from twopass.pipeline.apps.bulk.on_ray import run_on_ray

run_on_ray()
from ray._common.usage.usage_lib import usage_stats_enabled

print(usage_stats_enabled())
"""


def test_ray_reports_nothing(folder: Path) -> None:
    pytest.importorskip("ray")
    with observed([sys.executable, "-c", _ON_RAY], folder, RAY_USAGE_STATS_ENABLED="1") as seen:
        assert finished(seen)[1].endswith("False\n")
        assert seen.sent() == []  # its import asks for this machine's own name
        assert seen.kept() == []


_HUB_AFTER_TRANSFORMERS = """
import transformers.utils.hub
from twopass.reranker.telemetry import hugging_face_hub

hugging_face_hub()
from huggingface_hub.utils import build_hf_headers

print(build_hf_headers()["user-agent"])
"""


def test_the_hub_learns_a_version_only(folder: Path) -> None:
    with observed([sys.executable, "-c", _HUB_AFTER_TRANSFORMERS], folder) as seen:
        said = finished(seen)[1]
        assert "hf_hub/" in said
        assert "torch" not in said
        seen.assert_nothing_left()


LEAKS = {
    "foreign": "import socket; socket.socket(type=socket.SOCK_DGRAM).connect(('192.0.2.1', 9))",
    "names": "import socket; socket.socket(type=socket.SOCK_DGRAM).connect(('127.0.0.1', 53))",
    "sent": "import socket; socket.socket(type=socket.SOCK_DGRAM).sendto(b'', ('192.0.2.1', 9))",
    "six": "import socket\ns = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)\n"
    "try: s.connect(('2001:db8::1', 9))\nexcept OSError: pass",
    "host": "open('/etc/resolv.conf').read()",
    "home": "import pathlib; (pathlib.Path.home() / 'id').write_text('1')",
}


@pytest.mark.parametrize("kind", LEAKS)
def test_a_leak_would_be_seen(tmp_path: Path, kind: str) -> None:
    with observed([sys.executable, "-c", LEAKS[kind]], tmp_path) as seen:
        assert finished(seen)[0] == 0
    assert bool(seen.kept()) is (kind == "home")
    assert bool(seen.sought()) is (kind == "host")
    assert bool(seen.sent()) is (kind not in ("home", "host"))
    with pytest.raises(AssertionError):
        seen.assert_nothing_left()


def test_the_runtime_would_be_seen(tmp_path: Path) -> None:
    """As long as this holds, the tests above see what they are there for."""
    with observed([sys.executable, "-c", "import onnxruntime"], tmp_path) as seen:
        assert finished(seen)[0] == 0
    if not seen.kept():
        pytest.skip("this release of ONNX Runtime keeps nothing by itself")
    assert any("Microsoft" in path for path in seen.kept())


# The one place that may import each, and what runs where this package is not installed.
HOMES = {
    "onnxruntime": {"reranker/telemetry.py", "benchmarks/rerank_engines.py"},
    "huggingface_hub": {"reranker/telemetry.py"},
}
FOLDERS = ("retriever", "reranker", "pipeline", "benchmarks", "examples", "tests")


@pytest.mark.parametrize("library", HOMES)
def test_one_module_imports_what_reports(library: str) -> None:
    """Tests may use the hub's client: they speak to a hub of their own on this machine."""
    folders = FOLDERS if library == "onnxruntime" else FOLDERS[:3]
    files = [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]
    assert len(files) > 100
    found = {path.relative_to(ROOT).as_posix() for path in files if library in imported(path)}
    assert found == HOMES[library]


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(IMPORTING):
            names.update(each.value for each in node.args if isinstance(each, ast.Constant))
    return {name.split(".")[0] for name in names}


IMPORTING = ("import_module", "__import__", "importorskip")


def test_a_benchmarks_peer_turns_it_off_before_it_is_loaded() -> None:
    text = (ROOT / "benchmarks" / "rerank_engines.py").read_text()
    before, found, _ = text.partition("from onnxruntime import")
    assert found
    last = before.rstrip().splitlines()[-1]
    assert last.lstrip().startswith('os.environ["ORT_DISABLE_TELEMETRY"] = "1"')
