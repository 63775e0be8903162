"""A search on the CPU loads no framework for training."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

_PROGRAM = """
import sys
from twopass.pipeline.apps.cli import main

assert main(["search", "--index", sys.argv[1], "--json", "cat and owl"]) == 0
print(sorted({"torch", "transformers", "onnx", "huggingface_hub"} & sys.modules.keys()))
print("onnxruntime" in sys.modules)
"""


def test_loads_neither_torch_nor_transformers(index: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, str(index)], capture_output=True, text=True, check=True
    )
    hits, heavy, light = done.stdout.splitlines()
    assert '"outcome": "complete"' in hits
    assert (heavy, light) == ("[]", "True")
