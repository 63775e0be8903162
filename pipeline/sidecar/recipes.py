"""What to tell Elasticsearch and OpenSearch, so that they rerank by this service."""

from __future__ import annotations

import json
from typing import Any

__all__ = ["elasticsearch", "opensearch"]

_NAME = "twopass"


def elasticsearch(url: str) -> str:
    """Return the requests for Elasticsearch 8.19, 9.1 or newer, of a licence that has inference.

    Left out on purpose: ``${top_n}`` and ``${return_documents}``, which are errors where a search
    does not send them, and ``document_text``, whose number would have to be the scores'.

    Args:
        url: where the cluster's nodes reach this service.

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
        url: where the cluster's nodes reach this service.

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
