"""What a search says of its reranking: ``rescore.neural`` in the body, or a header."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from pipeline.errors import SearchError
from pipeline.settings.proxy import NeuralRescore

__all__ = ["HEADER", "of_header", "without_neural"]

HEADER = "x-twopass-rescore"


def without_neural(body: Mapping[str, Any]) -> tuple[dict[str, Any], NeuralRescore]:
    """Part a body into what is Elasticsearch's and what is ours.

    Rescorers of Elasticsearch's own stay where they are and run first::

        "rescore": [{"query": {...}, "window_size": 50}, {"neural": {...}, "window_size": 100}]

    Raises:
        SearchError: when there is more than one of ours, or one before another, or it says what
            it must not.

    """
    rescore = body.get("rescore")
    rescorers = rescore if isinstance(rescore, list) else [rescore]
    ours = [place for place, each in enumerate(rescorers) if _is_ours(each)]
    if not ours:
        return dict(body), NeuralRescore()
    if ours != [len(rescorers) - 1]:
        raise SearchError(
            f"rescore: expected one 'neural' rescorer, after all others, found {len(ours)} "
            f"among {len(rescorers)}"
        )
    theirs = {name: value for name, value in body.items() if name != "rescore"}
    if len(rescorers) > 1:
        theirs["rescore"] = rescorers[:-1]
    return theirs, _of_rescorer(rescorers[-1])


def of_header(value: str | None) -> NeuralRescore:
    """Read the header: ``true``, ``false``, or the object that ``rescore.neural`` would be.

    Raises:
        SearchError: when it is neither.

    """
    if value is None:
        return NeuralRescore()
    try:
        content = json.loads(value)
    except ValueError as error:
        raise SearchError(f"{HEADER}: expected true, false or a JSON object: {error}") from error
    return _checked(content, HEADER)


def _is_ours(rescorer: Any) -> bool:
    return isinstance(rescorer, Mapping) and "neural" in rescorer


def _of_rescorer(rescorer: Any) -> NeuralRescore:
    unknown = sorted(set(rescorer) - {"neural", "window_size"})
    if unknown:
        raise SearchError(f"rescore: expected 'window_size' beside 'neural', found {unknown}")
    content = rescorer["neural"]
    if isinstance(content, Mapping) and "window_size" in rescorer:
        content = {"window_size": rescorer["window_size"], **content}
    return _checked(content, "rescore.neural")


def _checked(content: Any, where: str) -> NeuralRescore:
    if isinstance(content, bool):
        return NeuralRescore(enabled=content)
    if not isinstance(content, Mapping):
        raise SearchError(f"{where}: expected an object, true or false, found {content!r:.80}")
    try:
        return NeuralRescore.model_validate({"enabled": True, **content})
    except ValidationError as error:
        problems = (
            ".".join([where, *map(str, each["loc"])]) + f": {each['msg']}"
            for each in error.errors(include_url=False)
        )
        raise SearchError("; ".join(problems)) from error
