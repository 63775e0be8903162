"""Where a model's files are: shipped with the package, in a folder, or on the Hugging Face hub."""

from __future__ import annotations

import re
from os import PathLike
from pathlib import Path

from reranker.base import ModelError
from reranker.telemetry import hugging_face_hub

__all__ = ["locate"]

_SHIPPED = Path(__file__).parent / "models"
_PREFIX = "twopass/"
_HUB_NAME = re.compile(r"[\w.-]+(/[\w.-]+)?")
_FILES = ["*.json", "*.safetensors", "*.txt", "*.model"]
_TIMEOUT = 5.0


def locate(
    name_or_path: str | PathLike[str],
    *,
    revision: str | None = None,
    token: str | bool | None = None,
    cache_folder: str | PathLike[str] | None = None,
    local_files_only: bool = False,
    trust_remote_code: bool = False,
) -> Path:
    """Return the folder of a model, downloaded if it must be.

    A name that begins with ``twopass/`` is a model that ships with this package; what exists as a
    folder is a folder; anything else is a name on the Hugging Face hub. A bare name there is one of
    the organisation ``cross-encoder``, as sentence-transformers reads it.

    Raises:
        ModelError: when there is no such model, or it cannot be reached.

    """
    name = str(name_or_path)
    if name.startswith(_PREFIX):
        return _shipped(name.removeprefix(_PREFIX))
    folder = Path(name).expanduser()
    if folder.is_dir():
        return folder
    if isinstance(name_or_path, PathLike) or not _HUB_NAME.fullmatch(name) or name[0] == ".":
        raise ModelError(
            f"expected a model's folder or a name on the hub, found {name!r}, which is neither"
        )
    return _from_hub(
        name if "/" in name else f"cross-encoder/{name}",
        revision=revision,
        token=token,
        cache_folder=cache_folder,
        local_files_only=local_files_only,
        code=trust_remote_code,
    )


def _shipped(name: str) -> Path:
    folder = _SHIPPED / name
    if name not in _names() or not folder.is_dir():
        raise ModelError(
            f"expected a model that ships with this package, {_PREFIX} and one of "
            f"{', '.join(_names()) or '(none)'}, found {name!r}"
        )
    return folder


def _names() -> list[str]:
    return sorted(config.parent.name for config in _SHIPPED.glob("*/config.json"))


def _from_hub(
    name: str,
    *,
    revision: str | None,
    token: str | bool | None,
    cache_folder: str | PathLike[str] | None,
    local_files_only: bool,
    code: bool,
) -> Path:
    try:
        folder = hugging_face_hub().snapshot_download(
            name,
            revision=revision,
            token=token,
            cache_dir=None if cache_folder is None else Path(cache_folder),
            local_files_only=local_files_only,
            allow_patterns=[*_FILES, "*.py"] if code else _FILES,
            ignore_patterns=["*/*"],  # other formats and checkpoints lie in subfolders
            etag_timeout=_TIMEOUT,
        )
    except (OSError, ValueError) as error:
        raise ModelError(
            f"model {name!r} is neither a folder here nor could it be had from the hub "
            f"({_reason(error)}); where there is a network, run 'hf download {name}', or copy its "
            "folder here and pass the path"
        ) from error
    return Path(folder)


def _reason(error: Exception) -> str:
    """First line of what happened, short."""
    cause = error.__cause__ or error
    return f"{type(cause).__name__}: {str(cause).strip().splitlines()[0]:.120}"
