"""Model families, one module each: the only ones that know a family's weights, sizes and head.

A module here that defines ``FAMILIES`` is found without being listed anywhere. This package
imports nothing else of the reranker, and torch only where a torch model is at hand.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from importlib import import_module
from typing import Any

from twopass.reranker.architectures.family import Architecture, Family

__all__ = [
    "architecture_of",
    "first_token_only",
    "known_types",
    "model_architecture",
    "token_types",
]


@cache
def _families() -> Mapping[str, Family]:
    """Return the families of all modules here, by their ``model_type``."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    modules = [import_module(f"{__name__}.{name}") for name in names]
    return {each.model_type: each for module in modules for each in getattr(module, "FAMILIES", ())}


def known_types() -> str:
    """Return the ``model_type`` of every known family, for error messages."""
    return ", ".join(sorted(_families()))


def architecture_of(config: Mapping[str, Any]) -> Architecture | None:
    """Read a ``config.json``; None where the family, or something that the model does, is unknown.

    Example:
        >>> architecture_of({"model_type": "deberta-v2"}) is None
        True

    """
    family = _families().get(str(config.get("model_type")))
    return None if family is None else family.read(config)


def model_architecture(model: Any) -> Architecture | None:
    """Return the architecture of a torch model; None where it is not transformers' own class."""
    family = _family(model)
    return None if family is None else family.read(model.config.to_dict())


def token_types(tokenizer_class: str) -> bool | None:
    """Say whether tokenizers of a class give token types; None for a class that is not known."""
    return next(
        (
            family.tokenizers[tokenizer_class]
            for family in _families().values()
            if tokenizer_class in family.tokenizers
        ),
        None,
    )


def first_token_only(model: Any) -> AbstractContextManager[None]:
    """Compute no more of a model's last layer than its score depends on, within this context.

    Does nothing with models whose family has no such shortcut.

    Args:
        model: a sequence classifier of transformers.

    """
    family = _family(model)
    if family is None or family.first_token_only is None:
        return nullcontext()
    return family.first_token_only(model)


def _family(model: Any) -> Family | None:
    """Return the family of a torch model by the name of its class."""
    name = type(model).__name__
    return next((each for each in _families().values() if each.classifier == name), None)
