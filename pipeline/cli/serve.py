"""``twopass serve``: the HTTP service."""

from __future__ import annotations

import sys
from argparse import Namespace
from typing import Any

from pipeline.cli.arguments import add_command, count, read_settings
from pipeline.cli.output import echo, note

__all__ = ["add_parser", "run"]

_EXAMPLES = """\
  twopass serve                                  rerank clients of many kinds, on port 8765
  twopass serve --index my-index --port 9000     and /search over an index
  twopass serve --proxy http://localhost:9200    in front of an Elasticsearch: change one URL
  twopass serve --print-elasticsearch            what to tell a cluster that is to ask it
  twopass serve --new-key                        an API key, and what goes into the settings
"""


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = add_command(
        commands, "serve", help="answer rerank clients and searches over HTTP", examples=_EXAMPLES
    )
    parser.set_defaults(run=run)
    parser.add_argument("--host", metavar="NAME", help="address to listen on (127.0.0.1)")
    parser.add_argument("--port", metavar="N", help="port to listen on (8765)")
    parser.add_argument("--workers", type=count, metavar="N", help="processes (1)")
    parser.add_argument("--index", metavar="DIR", help="the index of /search")
    parser.add_argument("--model", metavar="NAME", help="cross-encoder: a name or a folder")
    parser.add_argument(
        "--proxy", metavar="URL", help="rerank _search of the Elasticsearch that is there"
    )
    instead = parser.add_mutually_exclusive_group()
    instead.add_argument("--new-key", action="store_true", help="make an API key and end")
    instead.add_argument(
        "--hash-key", action="store_true", help="hash an API key from standard input and end"
    )
    for name in ("elasticsearch", "opensearch"):
        instead.add_argument(
            f"--print-{name}", action="store_true", help=f"print what to tell {name} and end"
        )
    parser.add_argument(
        "--url", metavar="URL", help="in what is printed, where a cluster finds this service"
    )


def run(arguments: Namespace) -> None:
    """Serve, or print what was asked for instead."""
    if arguments.new_key or arguments.hash_key:
        _key(new=arguments.new_key)
        return
    settings = read_settings(arguments)
    if arguments.print_elasticsearch or arguments.print_opensearch:
        from pipeline.sidecar import recipes

        recipe = recipes.elasticsearch if arguments.print_elasticsearch else recipes.opensearch
        listening = f"http://{settings.serve.host}:{settings.serve.port}"
        echo(recipe((arguments.url or listening).rstrip("/")))
        return
    _check_extra()
    from pipeline.sidecar.serving import serve

    serve(settings)


def _key(*, new: bool) -> None:
    from pipeline.sidecar.keys import hash_key, new_key

    key = new_key() if new else sys.stdin.readline().strip()
    if new:
        note(f"key, for the client, shown this once: {key}")
        note("hash, for serve.api_keys:")
    echo(hash_key(key))


def _check_extra() -> None:
    """Say which extra is missing, before anything is loaded.

    Raises:
        SettingsError: when one of its packages is not installed.

    """
    from importlib.util import find_spec

    from pipeline.errors import SettingsError

    missing = [name for name in ("fastapi", "uvicorn", "prometheus_client") if not find_spec(name)]
    if missing:
        raise SettingsError(
            f"serve needs {', '.join(missing)}, which are not installed: "
            "pip install 'twopass[serve]'"
        )
