"""What each setting means, read from its section's docstring."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from twopass.pipeline.apps.settings.sources import section_of
from twopass.pipeline.apps.settings.values import Settings

__all__ = ["Setting", "describe"]

_ATTRIBUTE = re.compile(r"^ {4}(\w++): (.*+(?:\n {8}.*+)*+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting.

    Attributes:
        name: dotted, as ``reranker.model``.
        default: its value where it is not set.
        meaning: a sentence or two.

    """

    name: str
    default: Any
    meaning: str


def describe(model: type[BaseModel] = Settings, prefix: str = "") -> Iterator[Setting]:
    """Yield all settings of a section, then those of the sections in it."""
    meanings = _meanings(model)
    sections: dict[str, type[BaseModel]] = {}
    for name, field in model.model_fields.items():
        section = section_of(field.annotation)
        if section is not None:
            sections[f"{prefix}{name}."] = section
        else:
            default = None if field.default is PydanticUndefined else field.default
            yield Setting(f"{prefix}{name}", default, meanings.get(name, ""))
    for inner, section in sections.items():
        yield from describe(section, inner)


def _meanings(model: type[BaseModel]) -> dict[str, str]:
    meanings: dict[str, str] = {}
    for base in reversed(model.__mro__):
        _, _, attributes = inspect.cleandoc(base.__doc__ or "").partition("Attributes:\n")
        for name, text in _ATTRIBUTE.findall(attributes):
            meanings[name] = " ".join(text.split())
    return meanings
