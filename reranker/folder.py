"""What a model's folder says of itself, read and checked before anything heavy is loaded."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reranker.base import ModelError

__all__ = ["ModelFolder"]

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
