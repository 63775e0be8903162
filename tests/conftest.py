"""What all tests share."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

_DEFAULT = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def data() -> Callable[[str], Path]:
    """Find the folder of a real collection by its name, or skip where it is absent.

    The collections stand in the folder that ``TWOPASS_DATA`` names.
    """
    root = Path(os.environ.get("TWOPASS_DATA", _DEFAULT))

    def find(name: str) -> Path:
        folder = root / name
        if not folder.is_dir():
            pytest.skip(f"collection {name!r} is not in {root}; set TWOPASS_DATA to its parent")
        return folder

    return find
