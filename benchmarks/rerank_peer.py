"""The environment for sentence-transformers' ONNX backend, which cannot share ours.

It needs optimum-onnx, which needs transformers 4, which sentence-transformers has left with its
version 6: so the newest version 5 is taken, with our versions of torch and ONNX Runtime. Pairs and
scores pass between the environments by file.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

__all__ = ["python_of", "versions"]

NAMES = ("sentence-transformers", "optimum-onnx", "transformers", "onnxruntime", "torch")


def python_of(folder: Path) -> str:
    """Return the environment's interpreter; the environment is made where it is not there."""
    python = folder / "bin" / "python"
    if not python.exists():
        for command in commands(folder):
            print("$", *command, file=sys.stderr)
            subprocess.run(command, check=True)
    return str(python)


def commands(folder: Path) -> list[list[str]]:
    """Return what makes the environment, by uv where that is there."""
    python = str(folder / "bin" / "python")
    packages = ["sentence-transformers[onnx]>=5,<6"]
    packages += [f"{name}=={version(name)}" for name in ("torch", "onnxruntime", "numpy")]
    uv = shutil.which("uv")
    if uv is None:
        return [
            [sys.executable, "-m", "venv", str(folder)],
            [python, "-m", "pip", "install", "--quiet", *packages],
        ]
    return [
        [uv, "venv", "--quiet", "--python", sys.executable, str(folder)],
        [uv, "pip", "install", "--quiet", "--python", python, *packages],
    ]


def versions(folder: Path) -> str:
    """Say which versions are in the environment."""
    code = (
        "import sys; from importlib.metadata import version; "
        "print(*(f'{name} {version(name)}' for name in sys.argv[1:]))"
    )
    command = [python_of(folder), "-c", code, *NAMES]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
