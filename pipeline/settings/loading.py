"""Settings from what is around: read when asked, merged by precedence, refused by name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from pipeline.errors import SettingsError
from pipeline.settings.names import unknown_names
from pipeline.settings.sources import Source, arguments_source, environment_source, file_source
from pipeline.settings.values import Settings

__all__ = ["load_settings"]

_SECRETS = {"api_key", "api_keys", "password"}
_WHOLE = {"template"}  # an object, but one value


def load_settings(
    arguments: Mapping[str, Any] | None = None, *, config: str | Path | None = None
) -> Settings:
    """Read the settings: the file, over it the environment, over it the arguments.

    Args:
        arguments: values by dotted name (``{"retriever.index": "my-index", "depth": 50}``); None
            as a value means not given.
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
    merged: dict[str, Any] = {}
    for source in reversed(sources):
        merged = _over(merged, source.values)
    return merged


def _over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(below)
    for name, value in above.items():
        sections = isinstance(value, Mapping) and isinstance(result.get(name), Mapping)
        merge = sections and name not in _WHOLE
        result[name] = _over(result[name], value) if merge else value
    return result


def _problem(detail: Any, sources: list[Source]) -> str:
    name = ".".join(map(str, detail["loc"]))
    where = [source.label(name) for source in sources if source.has(detail["loc"])]
    message = detail["msg"].removeprefix("Value error, ").replace("Input should be", "expected")
    if detail["type"] == "value_error":  # our own, of a whole section: it names what was found
        return f"{' and '.join(where) or name}: {message}" if name else message
    found = "" if _SECRETS & set(detail["loc"]) else f", found {detail['input']!r:.80}"
    return f"{where[0] if where else name}: {message}{found}"
