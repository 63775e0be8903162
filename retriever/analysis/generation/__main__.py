"""Write the file beside the module that reads it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from retriever.analysis import tables
from retriever.analysis.generation.arrays import arrays

__all__: list[str] = []

if __name__ == "__main__":
    made: dict[str, Any] = arrays()
    np.savez_compressed(Path(tables.__file__).with_name("tables.npz"), **made)
