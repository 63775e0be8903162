"""The promises of the house: one direction, nothing heavy on import, public names as listed."""

from __future__ import annotations

import ast
import importlib
import json
import subprocess
import sys
from importlib.metadata import distribution, version
from importlib.util import find_spec
from pathlib import Path

import pytest

RETRIEVER, RERANKER, PIPELINE = "twopass.retriever", "twopass.reranker", "twopass.pipeline"
PACKAGES = ("twopass", RETRIEVER, RERANKER, PIPELINE)
FORBIDDEN = {
    RETRIEVER: {RERANKER, PIPELINE, "torch"},
    RERANKER: {RETRIEVER, PIPELINE},
}
HEAVY = {
    *("fastapi", "prometheus_client", "uvicorn"),
    *("elasticsearch", "ir_measures", "matplotlib", "numba", "opensearchpy", "pandas", "pyarrow"),
    *("pydantic", "rank_bm25", "rich", "scipy", "torch", "transformers", "tokenizers"),
}


# inside a package: a lower floor imports none of the floors above it
FLOORS = {
    RETRIEVER: (
        [
            "errors",
            "hits",
            "native",
            "filters",
            "base",
            "corpus",
            "scoring",
            "analysis",
            "query",
            "index",
            "elastic",
        ]
    ),
    RERANKER: (
        [
            "threads",
            "console",
            "architectures",  # they know models, and nothing of this package: all may read them
            "contract",
            "text",
            "files",
            "engines",
            "scorers",
            "training",
        ]
    ),
    PIPELINE: [
        "errors",
        "ranking",
        "fusion",
        "candidates",
        "search",
        "evaluation",
        "training",
        "apps",
    ],
    f"{PIPELINE}.apps": ["settings", "assembly", "training", "sidecar", "cli"],
}


def _folder(package: str) -> Path:
    spec = find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent


def _modules(package: str) -> list[Path]:
    return sorted(_folder(package).rglob("*.py"))


def _imports(path: Path) -> set[str]:
    """The full names that a module imports, wherever in it; of ours, always absolute ones."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: a relative import"
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return found


def _within(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


@pytest.mark.parametrize("package", FORBIDDEN)
def test_imports_point_one_way(package: str) -> None:
    wrong = {
        str(path): bad
        for path in _modules(package)
        if (bad := {n for n in _imports(path) for f in FORBIDDEN[package] if _within(n, f)})
    }
    assert not wrong


@pytest.mark.parametrize("package", FLOORS)
def test_no_floor_imports_one_above_it(package: str) -> None:
    floors, folder = FLOORS[package], _folder(package)
    for height, floor in enumerate(floors):
        paths = [*(folder / floor).rglob("*.py"), *folder.glob(f"{floor}.py")]
        assert paths, floor
        above = [f"{package}.{each}" for each in floors[height + 1 :]]
        for path in paths:
            bad = {n for n in _imports(path) for upper in above if _within(n, upper)}
            assert not bad, path


def test_nothing_imports_our_packages_by_another_name() -> None:
    names = {"retriever", "reranker", "pipeline"}
    wrong = {str(p): bad for p in _modules("twopass") if (bad := _imports(p) & names)}
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
    assert set(module.__all__) - {"__version__"} == set(module._HOME)
    for name in module._HOME:
        home = importlib.import_module(module._HOME[name])
        assert getattr(module, name) is getattr(home, name)
        assert name in home.__all__


def test_the_version_is_that_of_the_distribution() -> None:
    import twopass

    assert twopass.__version__ == version("twopass")


def test_importing_twopass_takes_no_time() -> None:
    """Nothing but the standard library's import machinery is loaded: no threshold on a clock."""
    program = (
        "import sys; before = set(sys.modules); import twopass; print(*(set(sys.modules) - before))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert {n.split(".")[0] for n in done.stdout.split()} <= {"twopass", *sys.stdlib_module_names}


def test_the_distribution_installs_one_package() -> None:
    files = distribution("twopass").files or []
    tops = {path.parts[0] for path in files if path.parts[0] != ".."}
    assert {top for top in tops if not top.endswith((".dist-info", ".pth"))} <= {"twopass"}


def test_modules_of_an_app_with_our_folders_names_disturb_nothing(tmp_path: Path) -> None:
    for name in ("pipeline", "retriever", "reranker"):
        (tmp_path / f"{name}.py").write_text(f"NAME = 'the app: {name}'\n")
    (tmp_path / "app.py").write_text(
        "import pipeline, reranker, retriever\n"
        "from twopass import BM25Index, Document, SearchPipeline, fusion\n"
        "index = BM25Index.build([Document('d1', 'a train at noon')])\n"
        "search = SearchPipeline(index, None, fusion('rrf'))\n"
        "print(pipeline.NAME, retriever.NAME, reranker.NAME, *search.search('train').ids)\n"
    )
    done = subprocess.run(
        [sys.executable, "app.py"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    expected = "the app: pipeline the app: retriever the app: reranker d1"
    assert done.stdout.strip() == expected, done.stderr


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
    site = Path(str(installed.locate_file("")))
    assert site.joinpath(*package.split(".")) == _folder(package)


def test_the_types_ship() -> None:
    assert (_folder("twopass") / "py.typed").is_file()
