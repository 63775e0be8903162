"""``twopass settings``: list every setting, its meaning and its value."""

from __future__ import annotations

import json
from argparse import Namespace
from typing import TYPE_CHECKING, Any

from twopass.pipeline.apps.cli.arguments import add_command, read_settings
from twopass.pipeline.apps.cli.output import echo

if TYPE_CHECKING:
    from twopass.pipeline.apps.settings import Settings

__all__ = ["add_parser", "markdown", "run"]

_EXAMPLES = """\
  twopass settings                       all settings with their current values
  twopass settings | grep -A1 fusion
  twopass settings --config other.toml --json
"""
_SECRET = "(set)"


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = add_command(
        commands, "settings", help="list all settings and their values", examples=_EXAMPLES
    )
    parser.set_defaults(run=run)
    forms = parser.add_mutually_exclusive_group()
    forms.add_argument("--json", action="store_true", help="print the values as one JSON object")
    forms.add_argument(
        "--markdown", action="store_true", help="print names, defaults and meanings as Markdown"
    )


def run(arguments: Namespace) -> None:
    """Print the settings of file, environment and arguments."""
    if arguments.markdown:
        echo(markdown())
        return
    settings = read_settings(arguments)
    if arguments.json:
        echo(json.dumps(settings.model_dump(mode="json"), ensure_ascii=False))
        return
    from twopass.pipeline.apps.settings.description import describe

    for setting in describe():
        value = _value(settings, setting.name)
        changed = "" if value == setting.default else f"   (default: {_shown(setting.default)})"
        echo(f"{setting.name} = {_shown(value)}{changed}\n    {setting.meaning}")


def _value(settings: Settings, name: str) -> Any:
    value: Any = settings
    for part in name.split("."):
        value = getattr(value, part, None)
    return value


def _shown(value: Any) -> str:
    if hasattr(value, "get_secret_value"):
        return _SECRET
    if hasattr(value, "model_dump"):
        value = value.model_dump(mode="json")
    return "none" if value is None else json.dumps(value, default=str, ensure_ascii=False)


def markdown() -> str:
    """Return a page with a table for each section."""
    from twopass.pipeline.apps.settings.description import describe

    lines = [
        "# Every setting",
        "",
        "Command-line arguments override environment variables, which override `twopass.toml` in",
        "the working directory (or the file given with `--config` or `TWOPASS_CONFIG`), which",
        "overrides the defaults. `reranker.model` is `TWOPASS_RERANKER__MODEL` in the environment,",
        "`-s reranker.model=...` on the command line, and `model = ...` under `[reranker]` in the",
        "file. Lists and tables are written as in TOML or JSON: `-s 'proxy.allow=[\"*\"]'`. An",
        "unknown name is an error, which suggests the nearest known one. `twopass settings` prints",
        "the current values.",
    ]
    section = None
    for setting in describe():
        own = setting.name.rpartition(".")[0]
        if own != section:
            title = f"`[{own}]`" if own else "Top level"
            lines += ["", f"## {title}", "", "| name | default | meaning |", "|---|---|---|"]
            section = own
        name = setting.name.rpartition(".")[2]
        meaning = setting.meaning.replace("``", "`").replace("|", "\\|")
        lines.append(f"| `{name}` | `{_shown(setting.default)}` | {meaning} |")
    return "\n".join(lines)
