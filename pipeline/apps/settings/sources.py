"""Settings from a file, the environment and arguments: read, merged, unknown names refused."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)
from pydantic_settings import SettingsError as SourceError

from twopass.pipeline.apps.settings.values import Settings
from twopass.pipeline.errors import SettingsError

__all__ = [
    "Source",
    "arguments_source",
    "environment_source",
    "file_source",
    "known_names",
    "load_settings",
    "section_of",
    "unknown_names",
]


_PREFIX = "TWOPASS_"
_FILE = "twopass.toml"
_CONFIG = "TWOPASS_CONFIG"
# Not settings: which file to read, and where the tests find their collections and servers.
_NOT_SETTINGS = (_CONFIG, "TWOPASS_DATA", "TWOPASS_TEST_")


@dataclass(frozen=True, slots=True)
class Source:
    """Where settings come from: the arguments, the environment or a file.

    Attributes:
        values: nested by section.
        label: gives, for a setting's dotted name, how error messages name it.

    """

    values: dict[str, Any]
    label: Callable[[str], str]

    def has(self, path: Sequence[int | str]) -> bool:
        """Return whether there is a value at this path."""
        value: Any = self.values
        for name in path:
            if not isinstance(value, Mapping) or name not in value:
                return False
            value = value[name]
        return True


def arguments_source(arguments: Mapping[str, Any]) -> Source:
    """Return arguments by dotted name as a source; None means not given."""
    given = {name: value for name, value in arguments.items() if value is not None}
    return Source(_nested(given), lambda name: f"argument {name}")


def environment_source() -> Source:
    """Read the variables whose names begin with TWOPASS_.

    Raises:
        SettingsError: when a section's variable is not JSON.

    """
    try:
        known = EnvSettingsSource(Settings, env_ignore_empty=True)()
    except SourceError as error:
        raise SettingsError(f"environment: {error}; expected a JSON object") from error
    # pydantic-settings ignores variables that name no field; here they are errors.
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
        SettingsError: when a named file does not exist, or is not TOML.

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
    """Return the section's class where a setting is, or may be, a section."""
    for kind in (annotation, *get_args(annotation)):
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            return kind if get_origin(annotation) is not Mapping else None
    return None


def unknown_names(source: Source) -> Iterator[str]:
    """Yield a message for each name in the source that is no setting, with the nearest one."""
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


_SECRETS = {"api_key", "api_keys", "password"}
_TEMPLATE = ("retriever", "template")


def load_settings(
    arguments: Mapping[str, Any] | None = None, *, config: str | Path | None = None
) -> Settings:
    """Read the settings from a file, the environment and arguments, in rising precedence.

    ::

        settings = load_settings({"retriever.index": "my-index", "depth": 50})
        pipeline = build_pipeline(settings)

    Args:
        arguments: values by dotted name; None means not given.
        config: the TOML file; by default the one that ``TWOPASS_CONFIG`` names, or else
            ``twopass.toml`` in the working directory where there is one.

    Raises:
        SettingsError: naming every setting that is unknown, or whose value cannot be used, and
            where it was set.

    """
    sources = [arguments_source(arguments or {}), environment_source(), file_source(config)]
    problems = [problem for source in sources for problem in unknown_names(source)]
    if problems:
        raise SettingsError("; ".join(problems))
    try:
        return Settings(**_merged(sources))
    except ValidationError as error:
        raise SettingsError(
            "; ".join(_problem(detail, sources) for detail in error.errors(include_url=False))
        ) from error


def _merged(sources: list[Source]) -> dict[str, Any]:
    """Merge the sources as pydantic-settings does; the first takes precedence."""

    class Merged(BaseSettings):
        model_config = SettingsConfigDict(extra="allow")

        @classmethod
        def settings_customise_sources(
            cls, settings_cls: type[BaseSettings], *_: Any, **__: Any
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            return tuple(InitSettingsSource(settings_cls, source.values) for source in sources)

    merged = Merged().model_extra or {}
    # A query template is one value, though an object: it replaces another and is not merged.
    if (first := next((source for source in sources if source.has(_TEMPLATE)), None)) is not None:
        merged["retriever"]["template"] = first.values["retriever"]["template"]
    return merged


def _problem(detail: Any, sources: list[Source]) -> str:
    name = ".".join(map(str, detail["loc"]))
    where = [source.label(name) for source in sources if source.has(detail["loc"])]
    message = detail["msg"].removeprefix("Value error, ").replace("Input should be", "expected")
    if detail["type"] == "value_error":  # our own, of a whole section: it names what was found
        return f"{' and '.join(where) or name}: {message}" if name else message
    found = "" if _SECRETS & set(detail["loc"]) else f", found {detail['input']!r:.80}"
    return f"{where[0] if where else name}: {message}{found}"
