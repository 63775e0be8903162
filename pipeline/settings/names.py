"""The names of settings, and the nearest one to a name that is none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any, get_args, get_origin

from pydantic import BaseModel

from pipeline.settings.sources import Source
from pipeline.settings.values import Settings

__all__ = ["known_names", "section_of", "unknown_names"]


def known_names(model: type[BaseModel] = Settings, prefix: str = "") -> list[str]:
    """List the dotted names of all settings; a section whose keys are open ends in ``*``."""
    names: list[str] = []
    for name, field in model.model_fields.items():
        section = section_of(field.annotation)
        if section is not None:
            names += known_names(section, f"{prefix}{name}.")
        else:
            names.append(f"{prefix}{name}")
        if any(
            get_origin(kind) is Mapping for kind in (field.annotation, *get_args(field.annotation))
        ):
            names.append(f"{prefix}{name}.*")
    if model.model_config.get("extra") == "allow":
        names.append(f"{prefix}*")
    return names


def section_of(annotation: Any) -> type[BaseModel] | None:
    """Return the model that a setting is, or may be."""
    for kind in (annotation, *get_args(annotation)):
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            return kind if get_origin(annotation) is not Mapping else None
    return None


def unknown_names(source: Source) -> Iterator[str]:
    """Say of each name in the source that is no setting's, which one may have been meant."""
    known = known_names()
    for name in _dotted(source.values):
        if name in known or _is_open(name, known) or _is_section(name, known):
            continue
        near = get_close_matches(name, known, n=1) or get_close_matches(
            name.replace("_", ".", 1), known, n=1
        )
        hint = f"did you mean {source.label(near[0])}?" if near else f"known: {', '.join(known)}"
        yield f"{source.label(name)}: no such setting; {hint}"


def _is_open(name: str, known: list[str]) -> bool:
    return any(other.endswith(".*") and name.startswith(other[:-1]) for other in known)


def _is_section(name: str, known: list[str]) -> bool:
    return any(other.startswith(f"{name}.") for other in known)


def _dotted(values: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for name, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _dotted(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"
