"""Who may ask for what, by which name, and what a caller cannot make grow."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from twopass.pipeline.apps.settings.serve import ServeSettings
from twopass.pipeline.apps.sidecar import page
from twopass.pipeline.apps.sidecar.hosts import exposed
from twopass.pipeline.apps.sidecar.keys import hash_key, new_key

from .standing import Standing, standing

KEY = new_key()
OPEN = ["/healthz", "/readyz", "/health", "/tei/health"]
KEYED = ["/metrics", "/openapi.json", "/info", "/tei/info", "/page/judged"]
GONE = ["/docs", "/redoc", "/docs/oauth2-redirect"]


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standing]:
    serve = {"api_keys": [hash_key(KEY)], "host": "0.0.0.0", "logs": "text"}
    with standing(tmp_path_factory.mktemp("keyed"), serve=serve) as service:
        yield service


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standing]:
    serve = {"hosts": ["search.example"], "logs": "text"}
    with standing(tmp_path_factory.mktemp("local"), serve=serve) as service:
        yield service


def test_what_is_open_without_a_key_is_what_the_documentation_says(keyed: Standing) -> None:
    pages = [f"/page/{name}" for name in page._names()]
    for path in [*OPEN, "/", "/page/about", *pages]:
        assert keyed.get(path)[0] == 200, path
    for path in KEYED:
        assert keyed.get(path)[0] == 401, path
        assert keyed.get(path, f"X-API-Key: {KEY}")[0] == 200, path
    for path in GONE:
        assert keyed.get(path, f"X-API-Key: {KEY}")[0] == 404, path
    text = Path("docs/security.md").read_text()
    for path in (*OPEN, "/page/"):
        assert f"`{path}" in text


def test_every_described_path_asks_for_a_key(keyed: Standing) -> None:
    described = json.loads(keyed.get("/openapi.json", f"X-API-Key: {KEY}")[1])
    assert len(described["paths"]) > 15
    for path, methods in described["paths"].items():
        if path in OPEN:
            continue
        for method in methods:
            request = f"{method.upper()} {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
            assert keyed.ask(request.encode()).startswith(b"HTTP/1.1 401"), (method, path)


@pytest.mark.parametrize(
    "host",
    [
        *("localhost", "LOCALHOST.", "localhost:1", "127.0.0.1:80", "127.9.9.9", "[::1]:8765"),
        *("10.0.0.8", "search.example", "Search.Example:443", "a.localhost"),
    ],
)
def test_names_of_the_service(local: Standing, host: str) -> None:
    assert local.get("/healthz", f"Host: {host}")[0] == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "localhost.evil.example", "evil.example:8765", "127.0.0.1.evil.example"],
)
def test_a_page_whose_name_was_bound_to_this_machine_gets_nothing(
    local: Standing, host: str
) -> None:
    for path in ("/healthz", "/page/about", "/metrics", "/nothing"):
        status, body = local.get(path, f"Host: {host}")
        assert status == 421
        assert b"serve.hosts" in body
        assert b"twopass_" not in body


def test_made_up_paths_and_names_make_no_series(local: Standing) -> None:
    def series() -> set[str]:
        return set(re.findall(rb"^[^# ]+", local.get("/metrics")[1], re.M))

    local.get("/x/first")
    local.get("/x", "Host: evil.example")
    local.get("/metrics")
    before = series()
    for number in range(200):
        local.get(f"/x/{number}" + "y" * 5_000)
        local.get(f"/page/{number}")
        local.get("/x", f"Host: evil-{number}.example")
    new = series() - before
    assert not any(b"yyy" in each or b"evil" in each for each in new)
    assert {m for each in new for m in re.findall(rb'route="([^"]*)"', each)} <= {b"/page/{name}"}


def test_a_path_forges_no_line_of_the_log(local: Standing) -> None:
    local.get("/x%0a2026-01-01%2000:00:00,000%20INFO%20forged%1b[31m%c2%9b31m%e2%80%a8")
    lines = [line for line in local.said().splitlines() if "forged" in line]
    assert len(lines) == 1
    assert "path=/x\\u000a2026-01-01" in lines[0]
    assert "\x1b" not in lines[0]


def test_a_service_that_anybody_may_use_says_so(tmp_path: Path, keyed: Standing) -> None:
    assert "anybody" not in keyed.said()
    with standing(tmp_path, serve={"host": "0.0.0.0"}) as service:
        assert "anybody who reaches 0.0.0.0" in service.said()
        assert service.get("/healthz", "Host: any.name.example")[0] == 200
    for host in ("127.0.0.1", "localhost", "::1"):
        assert exposed(ServeSettings(host=host)) is None
    assert exposed(ServeSettings(host="0.0.0.0", api_keys=(hash_key(KEY),))) is None
    assert "new-key" in (exposed(ServeSettings(host="192.168.1.4")) or "")
