"""``twopass serve``: the HTTP service, and how to connect Elasticsearch and OpenSearch to it."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from typing import Any

from twopass.pipeline.apps.cli.arguments import MODEL_HELP, add_command, count, read_settings
from twopass.pipeline.apps.cli.output import echo, note

__all__ = [
    "add_parser",
    "elasticsearch",
    "opensearch",
    "run",
]


_NAME = "twopass"


def elasticsearch(url: str) -> str:
    """Return the requests for Elasticsearch 8.19, 9.1 or newer, of a licence that has inference.

    Left out on purpose: ``${top_n}`` and ``${return_documents}``, which are errors where a search
    does not send them, and ``document_text``, whose number would have to be the scores'.

    Args:
        url: this service's address as the cluster's nodes see it.

    """
    endpoint = {
        "service": "custom",
        "service_settings": {
            "secret_parameters": {"api_key": "YOUR-KEY"},
            "url": f"{url}/v2/rerank",
            "headers": {
                "Authorization": "Bearer ${api_key}",
                "Content-Type": "application/json",
            },
            "request": '{"query":${query},"documents":${input}}',
            "response": {
                "json_parser": {
                    "reranked_index": "$.results[*].index",
                    "relevance_score": "$.results[*].relevance_score",
                }
            },
        },
    }
    search = {
        "retriever": {
            "text_similarity_reranker": {
                "retriever": {"standard": {"query": {"match": {"text": "YOUR QUESTION"}}}},
                "field": "text",
                "inference_id": _NAME,
                "inference_text": "YOUR QUESTION",
                "rank_window_size": 100,
            }
        }
    }
    return _console(
        ("PUT", f"_inference/rerank/{_NAME}", endpoint), ("POST", "YOUR-INDEX/_search", search)
    )


def opensearch(url: str) -> str:
    """Return the requests for OpenSearch 2.12 or newer with ml-commons and neural-search.

    Args:
        url: this service's address as the cluster's nodes see it.

    """
    ml = "plugins.ml_commons"
    trust = {
        f"{ml}.trusted_connector_endpoints_regex": [f"^{url.replace('.', '[.]')}/.*$"],
        f"{ml}.connector.private_ip_enabled": True,
        f"{ml}.only_run_on_ml_node": False,
    }
    action = {
        "action_type": "predict",
        "method": "POST",
        "url": f"{url}/v1/rerank",
        "headers": {"Authorization": "Bearer ${credential.api_key}"},
        "request_body": '{"query":"${parameters.query}","documents":${parameters.documents},'
        '"top_n":${parameters.top_n},"return_documents":false}',
        "pre_process_function": "connector.pre_process.cohere.rerank",
        "post_process_function": "connector.post_process.cohere.rerank",
    }
    connector = {
        "name": _NAME,
        "description": "Reranking by twopass, in Cohere's dialect",
        "version": "1",
        "protocol": "http",
        "credential": {"api_key": "YOUR-KEY"},
        "parameters": {},
        "actions": [action],
    }
    model = {"name": _NAME, "function_name": "remote", "connector_id": "ID-OF-THE-CONNECTOR"}
    processor = {
        "rerank": {
            "ml_opensearch": {"model_id": "ID-OF-THE-MODEL"},
            "context": {"document_fields": ["text"]},
        }
    }
    search = {
        "query": {"match": {"text": "YOUR QUESTION"}},
        "size": 100,
        "ext": {"rerank": {"query_context": {"query_text": "YOUR QUESTION"}}},
    }
    return _console(
        ("PUT", "_cluster/settings", {"persistent": trust}),
        ("POST", "_plugins/_ml/connectors/_create", connector),
        ("POST", "_plugins/_ml/models/_register?deploy=true", model),
        ("PUT", f"_search/pipeline/{_NAME}", {"response_processors": [processor]}),
        ("POST", f"YOUR-INDEX/_search?search_pipeline={_NAME}", search),
    )


def _console(*requests: tuple[str, str, dict[str, Any]]) -> str:
    """Write requests as the consoles of both take them."""
    written = [f"{verb} {path}\n{json.dumps(body, indent=2)}" for verb, path, body in requests]
    return "\n\n".join(written)


_EXAMPLES = """\
  twopass serve                                  rerank APIs of several vendors, on port 8765
  twopass serve --index my-index --port 9000     also /search over an index
  twopass serve --proxy http://localhost:9200    in front of Elasticsearch: clients change one URL
  twopass serve --print-elasticsearch            how to configure a cluster that uses it
  twopass serve --new-key                        create an API key and its hash for the settings
"""


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = add_command(
        commands, "serve", help="serve rerank APIs and search over HTTP", examples=_EXAMPLES
    )
    parser.set_defaults(run=run)
    parser.add_argument("--host", metavar="NAME", help="address to listen on (127.0.0.1)")
    parser.add_argument("--port", metavar="N", help="port to listen on (8765)")
    parser.add_argument("--workers", type=count, metavar="N", help="worker processes (1)")
    parser.add_argument("--index", metavar="DIR", help="index for /search")
    parser.add_argument("--model", metavar="NAME", help=MODEL_HELP)
    parser.add_argument(
        "--proxy", metavar="URL", help="forward to this Elasticsearch and rerank its _search"
    )
    instead = parser.add_mutually_exclusive_group()
    instead.add_argument(
        "--new-key", action="store_true", help="print a new API key and its hash, and exit"
    )
    instead.add_argument(
        "--hash-key",
        action="store_true",
        help="print the hash of an API key from standard input, and exit",
    )
    for name in ("elasticsearch", "opensearch"):
        instead.add_argument(
            f"--print-{name}",
            action="store_true",
            help=f"print the requests that connect {name}, and exit",
        )
    parser.add_argument(
        "--url", metavar="URL", help="this service's address in the printed requests"
    )


def run(arguments: Namespace) -> None:
    """Serve, or print a key or a configuration."""
    if arguments.new_key or arguments.hash_key:
        _key(new=arguments.new_key)
        return
    settings = read_settings(arguments)
    if arguments.print_elasticsearch or arguments.print_opensearch:
        recipe = elasticsearch if arguments.print_elasticsearch else opensearch
        listening = f"http://{settings.serve.host}:{settings.serve.port}"
        echo(recipe((arguments.url or listening).rstrip("/")))
        return
    _check_extra()
    from twopass.pipeline.apps.sidecar.server import serve

    serve(settings)


def _key(*, new: bool) -> None:
    from twopass.pipeline.apps.sidecar.keys import hash_key, new_key

    key = new_key() if new else sys.stdin.readline().strip()
    if new:
        note(f"key for the client, shown only once: {key}")
        note("hash for serve.api_keys:")
    echo(hash_key(key))


def _check_extra() -> None:
    """Check that the packages of the extra are installed, before anything is loaded.

    Raises:
        SettingsError: when one of its packages is not installed.

    """
    from importlib.util import find_spec

    from twopass.pipeline.errors import SettingsError

    missing = [name for name in ("fastapi", "uvicorn", "prometheus_client") if not find_spec(name)]
    if missing:
        raise SettingsError(
            f"serve needs {', '.join(missing)}, which are not installed: "
            "pip install 'twopass[serve]'"
        )
