"""What other distributions add: objects that their entry points name, by group.

A distribution that has this in its ``pyproject.toml`` adds an analyser to every process of an
environment in which it is installed::

    [project.entry-points."twopass.analyzers"]
    folded = "my_package:folded"

Groups: ``twopass.analyzers``, ``twopass.fusions``, ``twopass.losses``, ``twopass.retrievers``,
``twopass.scorers``; docs/extending.md says what each names. Nothing is imported until the name is
used.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import entry_points
from typing import Any

__all__ = ["load_plugin", "plugin_names"]


def plugin_names(group: str, ours: Iterable[str] = ()) -> list[str]:
    """Return our own names, in their order, and those of a group's entry points, sorted."""
    return list(dict.fromkeys([*ours, *sorted(entry_points(group=group).names)]))


def load_plugin(group: str, name: str) -> Any:
    """Return what an entry point names; None where there is no entry point of that name."""
    for found in entry_points(group=group, name=name):
        return found.load()
    return None
