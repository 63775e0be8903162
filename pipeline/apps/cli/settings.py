"""``twopass settings``: every setting, what it means, and what it is now."""

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
  twopass settings                       all of them, as they are here and now
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
    forms.add_argument("--json", action="store_true", help="the values as one JSON object")
    forms.add_argument("--markdown", action="store_true", help="names, defaults and meanings")


def run(arguments: Namespace) -> None:
    """Print the settings that file, environment and arguments make."""
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
    """Return a page with a table a section."""
    from twopass.pipeline.apps.settings.description import describe

    lines = [
        "# Every setting",
        "",
        "Arguments are above environment variables, those above `twopass.toml` in the working",
        "directory (or the file that `--config` or `TWOPASS_CONFIG` names), and that above the",
        "defaults. `reranker.model` is `TWOPASS_RERANKER__MODEL` in the environment,",
        "`-s reranker.model=...` on the command line, and `model = ...` under `[reranker]` in the",
        "file. An unknown name is refused, with the one that it is nearest to. `twopass settings`",
        "prints what is in force.",
    ]
    section = None
    for setting in describe():
        own = setting.name.rpartition(".")[0]
        if own != section:
            title = f"`[{own}]`" if own else "On top"
            lines += ["", f"## {title}", "", "| name | default | what it is |", "|---|---|---|"]
            section = own
        name = setting.name.rpartition(".")[2]
        meaning = setting.meaning.replace("``", "`").replace("|", "\\|")
        lines.append(f"| `{name}` | `{_shown(setting.default)}` | {meaning} |")
    return "\n".join(lines)
