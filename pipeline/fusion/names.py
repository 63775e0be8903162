"""Functions chosen by name, with parameters from settings: checked when chosen, not when used."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeVar

from pipeline.errors import FusionError

__all__ = ["choose", "summaries"]

R = TypeVar("R")


def choose(
    kind: str, table: Mapping[str, Callable[..., R]], name: str, parameters: Mapping[str, Any]
) -> Callable[..., R]:
    """Return the function of that name in the table with its keyword parameters bound.

    Raises:
        FusionError: when the name or a parameter is unknown, or a required one is missing.

    """
    if name not in table:
        raise FusionError(f"unknown {kind} {name!r}: expected one of {', '.join(table)}")
    known = _parameters(table[name])
    for parameter in parameters:
        if parameter not in known:
            raise FusionError(
                f"unknown parameter {parameter!r} of {kind} {name!r}: "
                f"expected {', '.join(known) or 'none'}"
            )
    for parameter, default in known.items():
        if default is inspect.Parameter.empty and parameter not in parameters:
            raise FusionError(f"{kind} {name!r} needs the parameter {parameter!r}")
    return partial(table[name], **parameters)


def summaries(table: Mapping[str, Callable[..., Any]]) -> dict[str, str]:
    """Say in a line what each function of the table is."""
    return {name: (function.__doc__ or "").split("\n\n")[0] for name, function in table.items()}


def _parameters(function: Callable[..., Any]) -> dict[str, Any]:
    """Return the defaults of a function's parameters after its first."""
    _, *parameters = inspect.signature(function).parameters.values()
    return {parameter.name: parameter.default for parameter in parameters}
