"""What a scorer is, in a short text that changes whenever its scores could."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

from reranker.base import PairScorer
from reranker.errors import InputError

__all__ = ["fingerprint_of", "function_name", "model_fingerprint"]

_KINDS = ("*.safetensors", "*.json", "*.txt", "*.model")
_BLOCK = 1 << 20


def model_fingerprint(folder: Path, settings: Mapping[str, Any]) -> str:
    """Return a hash of a model's weights, tokeniser and configuration, and of settings.

    Reads all of the folder's files, of which 100 MB take some tenths of a second.

    Args:
        folder: the model's folder.
        settings: whatever else decides about scores, fit for JSON.

    """
    digest = hashlib.blake2b(digest_size=16)
    digest.update(json.dumps(settings, sort_keys=True).encode())
    for path in sorted(path for kind in _KINDS for path in folder.glob(kind)):
        digest.update(f"\0{path.name}\0{path.stat().st_size}\0".encode())
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                digest.update(block)
    return digest.hexdigest()


def function_name(function: Any) -> str | None:
    """Name a function so that only the same one has the name; None for None.

    What has no name of its own, as a lambda or an object, is like nothing else.
    """
    if function is None:
        return None
    name = f"{getattr(function, '__module__', '')}.{getattr(function, '__qualname__', '<')}"
    return f"unnamed {uuid4()}" if "<" in name else name


def fingerprint_of(scorer: PairScorer) -> str:
    """Return a scorer's own fingerprint.

    Raises:
        InputError: when it has none.

    """
    found = getattr(scorer, "fingerprint", None)
    if not isinstance(found, str) or not found:
        raise InputError(
            f"expected a scorer that has a fingerprint, found {type(scorer).__name__} without one; "
            "pass fingerprint=, a text that changes whenever its scores could"
        )
    return found
