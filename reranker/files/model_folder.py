"""Where a model's files are, and what its folder says, checked before anything heavy loads."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

from twopass.reranker.contract.errors import ModelError
from twopass.reranker.telemetry import hugging_face_hub

__all__ = [
    "ModelFolder",
    "locate_model",
    "model_fingerprint",
]


_SHIPPED = Path(__file__).parents[1] / "models"
_PREFIX = "twopass/"
_HUB_NAME = re.compile(r"[\w.-]++(/[\w.-]+)?")
_FILES = ["*.json", "*.safetensors", "*.txt", "*.model"]
_TIMEOUT = 5.0


def locate_model(
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


_WEIGHTS = ("model.safetensors", "model.safetensors.index.json")
_PICKLES = ("pytorch_model.bin", "pytorch_model.bin.index.json")


@dataclass(frozen=True, slots=True)
class ModelFolder:
    """A folder with a cross-encoder, as transformers and sentence-transformers save it.

    Attributes:
        path: the folder.
        config: its ``config.json``.
        activation: the dotted path of the function on top of the logits, where it names one.
        max_length: tokens a pair at most, where sentence-transformers' own files name it.

    """

    path: Path
    config: Mapping[str, Any]
    activation: str | None
    max_length: int | None

    @classmethod
    def read(cls, path: Path) -> ModelFolder:
        """Read a folder's configuration and look that its weights are there.

        Raises:
            ModelError: when a file is missing or broken, the weights are not safetensors, or the
                folder holds something else than one transformer with a classification head.

        """
        config = _json(path / "config.json")
        if config is None:
            raise ModelError(
                f"expected a model's folder with a config.json, found none in {str(path)!r}"
            )
        _check_weights(path)
        own = _own_settings(path)
        layout = _json(path / "sentence_bert_config.json") if own else None
        return cls(path, config, _activation(config, own), (layout or {}).get("max_seq_length"))


def _json(path: Path) -> Any:
    """Return a file's value, or None where there is no such file."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise ModelError(f"expected JSON in {str(path)!r}, could not read it: {error}") from error


def _check_weights(path: Path) -> None:
    if any((path / name).is_file() for name in _WEIGHTS):
        return
    if any((path / name).is_file() for name in _PICKLES):
        raise ModelError(
            f"expected safetensors weights, found only a pickle in {str(path)!r}, which could run "
            "code when it is opened; if you trust it, load it with transformers and "
            "save_pretrained() it again"
        )
    raise ModelError(f"expected {_WEIGHTS[0]} in {str(path)!r}, found no weights")


def _own_settings(path: Path) -> Mapping[str, Any]:
    """Return what sentence-transformers has written of a cross-encoder, empty where it has not.

    It heeds its own files only beside a list of modules, and only where they say cross-encoder.

    Raises:
        ModelError: when they ask for what would be scored here otherwise than its makers meant.

    """
    modules = _json(path / "modules.json")
    own: Mapping[str, Any] = _json(path / "config_sentence_transformers.json") or {}
    if not modules or own.get("model_type") != "CrossEncoder":
        return {}
    kinds = [str(module.get("type")) for module in modules]
    if len(modules) != 1 or modules[0].get("path"):
        raise ModelError(
            f"expected one transformer with a classification head in {str(path)!r}, "
            f"found a chain of modules: {', '.join(kinds)}"
        )
    prompt = (own.get("prompts") or {}).get(own.get("default_prompt_name"))
    if prompt:
        raise ModelError(
            f"expected a model that reads pairs as they are, found in {str(path)!r} the default "
            f"prompt {prompt!r}; prompts are not applied here"
        )
    return own


def _activation(config: Mapping[str, Any], own: Mapping[str, Any]) -> str | None:
    """Look where each version of sentence-transformers has written it, the newest first."""
    found = (
        own.get("activation_fn")
        or (config.get("sentence_transformers") or {}).get("activation_fn")
        or config.get("sbert_ce_default_activation_function")
    )
    return None if found is None else str(found)


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
