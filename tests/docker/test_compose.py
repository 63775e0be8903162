"""The compose files, without an engine that could start them: what they name is there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from twopass.pipeline.apps.settings import ServeSettings, load_settings

FOLDER = Path(__file__).resolve().parents[2] / "docker"
OVER = "compose.cuda.yml"  # over another file
FILES = sorted(path.name for path in FOLDER.glob("compose*.yml"))
WHOLE = [name for name in FILES if name != OVER]
_VARIABLE = re.compile(r"\$\{(\w+)(?::-([^}]*)|:\?[^}]*)\}")
_IMAGE = re.compile(r"([a-z0-9-]+/)?[a-z0-9-]+:[A-Za-z0-9_.-]+")


def read(name: str) -> dict[str, Any]:
    """Read a file with its variables as they are where nobody sets them, secrets as "secret"."""
    text = _VARIABLE.sub(lambda found: found[2] or "secret", (FOLDER / name).read_text())
    assert "${" not in text
    parsed: dict[str, Any] = yaml.safe_load(text.replace("$$", "$"))
    return parsed


def services(name: str) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = read(name)["services"]
    return found


def sidecars(name: str) -> dict[str, dict[str, Any]]:
    return {n: each for n, each in services(name).items() if n.startswith("sidecar")}


def names_of(service: str, each: dict[str, Any]) -> set[str]:
    """Return by which names others reach a service."""
    networks = each.get("networks", {})
    return {service}.union(*(network.get("aliases", []) for network in networks.values()))


def test_the_files_that_there_are() -> None:
    assert FILES == ["compose.cluster.yml", OVER, "compose.opensearch.yml", "compose.yml"]
    assert len(sidecars("compose.cluster.yml")) == 2
    assert len([s for s in services("compose.cluster.yml") if s.startswith("es")]) == 3


def test_they_fit_the_compose_specification() -> None:
    program = Path(sys.executable).parent / "check-jsonschema"
    command = [program, "--builtin-schema", "vendor.compose-spec", *(FOLDER / n for n in FILES)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", FILES)
def test_images_are_named_with_their_versions(name: str) -> None:
    for service, each in services(name).items():
        assert _IMAGE.fullmatch(each["image"]), service
        assert each["image"].startswith("twopass:") or not each["image"].endswith(":latest")


@pytest.mark.parametrize("name", WHOLE)
def test_what_is_waited_for_can_tell_that_it_is_ready(name: str) -> None:
    there = services(name)
    for each in there.values():
        for other, how in each.get("depends_on", {}).items():
            if how["condition"] == "service_healthy":
                own = there[other]["image"].startswith("twopass:")  # in the Dockerfile
                assert own or there[other]["healthcheck"]["test"]
            else:
                assert how["condition"] == "service_completed_successfully"
                assert "restart" not in there[other]


@pytest.mark.parametrize("name", WHOLE)
def test_volumes_are_declared_and_mounted_files_exist(name: str) -> None:
    declared = set(read(name).get("volumes", {}))
    used = set()
    for each in services(name).values():
        for volume in each.get("volumes", []):
            source = volume.split(":")[0]
            if source.startswith("."):
                assert (FOLDER / source).is_file()
            else:
                used.add(source)
    assert used == declared


@pytest.mark.parametrize("name", WHOLE)
def test_ports_are_this_machines_alone(name: str) -> None:
    published = [port for each in services(name).values() for port in each.get("ports", [])]
    assert published
    assert all(port.startswith("127.0.0.1:") for port in published)


@pytest.mark.parametrize("name", ["compose.yml", "compose.cluster.yml"])
def test_elasticsearch_fetches_nothing(name: str) -> None:
    there = services(name).values()
    nodes = [each for each in there if "discovery.type" in str(each) or "seed_hosts" in str(each)]
    assert nodes
    for each in nodes:
        assert each["environment"]["ingest.geoip.downloader.enabled"] == "false"


@pytest.mark.parametrize("name", WHOLE)
def test_the_sidecars_settings_are_understood(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in [name for name in os.environ if name.startswith("TWOPASS_")]:
        monkeypatch.delenv(variable)
    there = services(name)
    reachable = set().union(*(names_of(service, each) for service, each in there.items()))
    for each in sidecars(name).values():
        for variable, value in each["environment"].items():
            monkeypatch.setenv(variable, value)
        settings = load_settings()
        address = urlsplit(settings.proxy.url or "")
        assert address.hostname in reachable
        assert address.port == 9200
        dockerfile = FOLDER / each["build"]["context"] / each["build"]["dockerfile"]
        assert dockerfile.resolve() == FOLDER / "Dockerfile"


def test_the_one_for_cuda_changes_what_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    (sidecar,) = services(OVER).values()
    assert set(services(OVER)) <= set(services("compose.yml"))
    (argument,) = sidecar["build"]["args"]
    assert f"ARG {argument}=cpu" in (FOLDER / "Dockerfile").read_text()
    for variable, value in sidecar["environment"].items():
        monkeypatch.setenv(variable, value)
    assert load_settings().reranker.device == "cuda"


def test_nginx_asks_both_sidecars() -> None:
    there = services("compose.cluster.yml")
    text = (FOLDER / "nginx.conf").read_text()
    asked = re.findall(r"^\s*server (\w+):(\d+)", text, flags=re.M)
    assert {service for service, _ in asked} == set(sidecars("compose.cluster.yml"))
    assert {int(port) for _, port in asked} == {ServeSettings().port}
    (listens,) = re.findall(r"listen (\d+);", text)
    (port,) = there["nginx"]["ports"]
    assert port.split(":")[-1] == listens
    (size,) = re.findall(r"client_max_body_size (\d+)m;", text)
    assert int(size) * 1024 * 1024 == ServeSettings().max_body_bytes


@pytest.mark.skipif(shutil.which("nginx") is None, reason="nginx is not installed")
def test_nginx_takes_its_configuration(tmp_path: Path) -> None:
    text = re.sub(r"sidecar\d:", "127.0.0.1:", (FOLDER / "nginx.conf").read_text())
    configuration = tmp_path / "nginx.conf"
    configuration.write_text(text.replace("/tmp/", f"{tmp_path}/"))
    done = subprocess.run(
        ["nginx", "-t", "-c", configuration], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
