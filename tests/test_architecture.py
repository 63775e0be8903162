"""The promises of the house: one direction, nothing heavy on import, public names as listed."""

from __future__ import annotations

import ast
import importlib
import json
import subprocess
import sys
from importlib.metadata import distribution
from importlib.util import find_spec
from pathlib import Path

import pytest

PACKAGES = ("retriever", "reranker", "pipeline")
FORBIDDEN = {"retriever": {"reranker", "pipeline", "torch"}, "reranker": {"retriever", "pipeline"}}
HEAVY = {
    *("fastapi", "prometheus_client", "uvicorn"),
    *("elasticsearch", "ir_measures", "matplotlib", "numba", "opensearchpy", "pandas", "pyarrow"),
    *("pydantic", "rank_bm25", "rich", "scipy", "torch", "transformers", "tokenizers"),
}


def _folder(package: str) -> Path:
    spec = find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent


def _modules(package: str) -> list[Path]:
    return sorted(_folder(package).rglob("*.py"))


def _imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found.update(alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.split(".")[0])
    return found


@pytest.mark.parametrize("package", FORBIDDEN)
def test_imports_point_one_way(package: str) -> None:
    wrong = {
        str(path): bad for path in _modules(package) if (bad := _imports(path) & FORBIDDEN[package])
    }
    assert not wrong


@pytest.mark.parametrize("package", PACKAGES)
def test_importing_a_package_loads_nothing_heavy(package: str) -> None:
    program = (
        f"import sys, {package}\n"
        f"print(*sorted({HEAVY!r} & set(sys.modules)))\n"
        f"for name in {package}.__all__: getattr({package}, name)\n"
        f"print(*sorted({HEAVY!r} - {{'pydantic'}} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == []


@pytest.mark.parametrize("package", PACKAGES)
def test_public_names_exist_and_are_all_listed(package: str) -> None:
    module = importlib.import_module(package)
    assert len(module.__all__) == len(set(module.__all__))
    assert set(module.__all__) == set(module._HOME)
    for name in module.__all__:
        home = importlib.import_module(module._HOME[name])
        assert getattr(module, name) is getattr(home, name)
        assert name in home.__all__


@pytest.mark.parametrize("package", PACKAGES)
def test_every_module_lists_its_public_names(package: str) -> None:
    without = [
        str(path)
        for path in _modules(package)
        if not any(
            isinstance(node, ast.Assign | ast.AnnAssign)
            and "__all__" in {getattr(t, "id", "") for t in _targets(node)}
            for node in ast.parse(path.read_text(encoding="utf-8")).body
        )
        and path.name not in ("__init__.py", "__main__.py")
    ]
    assert without == []


def _targets(node: ast.Assign | ast.AnnAssign) -> list[ast.expr]:
    return node.targets if isinstance(node, ast.Assign) else [node.target]


@pytest.mark.parametrize("package", PACKAGES)
def test_what_is_tested_is_the_installed_package(package: str) -> None:
    installed = distribution("twopass")
    origin = json.loads(installed.read_text("direct_url.json") or "{}")
    if origin.get("dir_info", {}).get("editable"):
        pytest.skip("installed as editable: the checkout is what runs")
    assert _folder(package).parent == Path(str(installed.locate_file("")))


@pytest.mark.parametrize("package", PACKAGES)
def test_the_types_ship(package: str) -> None:
    assert (_folder(package) / "py.typed").is_file()
