"""The places where settings come from, each as nested values and how it calls them."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic_settings import EnvSettingsSource, TomlConfigSettingsSource
from pydantic_settings import SettingsError as SourceError

from pipeline.errors import SettingsError
from pipeline.settings.values import Settings

__all__ = ["Source", "arguments_source", "environment_source", "file_source"]

_PREFIX = "TWOPASS_"
_FILE = "twopass.toml"
_CONFIG = "TWOPASS_CONFIG"
# Names in the same style that are no settings: where the tests find their collections and servers.
_NOT_SETTINGS = (_CONFIG, "TWOPASS_DATA", "TWOPASS_TEST_")


@dataclass(frozen=True, slots=True)
class Source:
    """One place where settings come from.

    Attributes:
        values: nested by section.
        label: from a dotted name to what the user wrote there.

    """

    values: Mapping[str, Any]
    label: Callable[[str], str]

    def has(self, path: Sequence[int | str]) -> bool:
        """Tell whether a value stands at this path."""
        value: Any = self.values
        for name in path:
            if not isinstance(value, Mapping) or name not in value:
                return False
            value = value[name]
        return True


def arguments_source(arguments: Mapping[str, Any]) -> Source:
    """Take arguments by dotted name; None is not given."""
    given = {name: value for name, value in arguments.items() if value is not None}
    return Source(_nested(given), lambda name: f"argument {name}")


def environment_source() -> Source:
    """Read the variables that begin with TWOPASS_.

    Raises:
        SettingsError: when a section's variable is not JSON.

    """
    try:
        known = EnvSettingsSource(Settings, env_ignore_empty=True)()
    except SourceError as error:
        raise SettingsError(f"environment: {error}; expected a JSON object") from error
    # pydantic-settings passes over variables that name no field: they are to be refused.
    other = {
        variable.upper().removeprefix(_PREFIX).lower().replace("__", "."): value
        for variable, value in os.environ.items()
        if value and _is_setting(variable.upper())
    }
    unknown = {name: value for name, value in other.items() if name.split(".")[0] not in known}
    return Source({**_nested(unknown), **known}, _variable)


def file_source(config: str | Path | None) -> Source:
    """Read the TOML file, if there is one.

    Raises:
        SettingsError: when a file that was named is not there, or is not TOML.

    """
    named = config or os.environ.get(_CONFIG)
    path = Path(named or _FILE)
    if not path.is_file():
        if named:
            raise SettingsError(f"{path}: expected a TOML file with settings, found none there")
        return Source({}, str)
    try:
        values = TomlConfigSettingsSource(Settings, toml_file=path)()
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: expected TOML, found: {error}") from error
    return Source(values, lambda name: f"{path}: {name}")


def _is_setting(variable: str) -> bool:
    return variable.startswith(_PREFIX) and not variable.startswith(_NOT_SETTINGS)


def _variable(name: str) -> str:
    return f"environment variable {_PREFIX}{name.upper().replace('.', '__')}"


def _nested(values: Mapping[str, Any]) -> dict[str, Any]:
    nested: dict[str, Any] = {}
    for dotted, value in values.items():
        *sections, name = dotted.split(".")
        inner = nested
        for section in sections:
            inner = inner.setdefault(section, {})
            if not isinstance(inner, dict):
                raise SettingsError(f"{dotted}: {section} is both a value and a section")
        inner[name] = dict(value) if isinstance(value, Mapping) else value
    return nested
