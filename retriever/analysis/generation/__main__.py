"""Write the file beside the module that reads it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from twopass.retriever.analysis import tokenizer
from twopass.retriever.analysis.generation.grammar import arrays

__all__: list[str] = []

if __name__ == "__main__":
    made: dict[str, Any] = arrays()
    np.savez_compressed(Path(tokenizer.__file__).with_name("tables.npz"), **made)
