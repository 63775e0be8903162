"""JSON Lines: one object a line."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from retriever.base import CorpusError
from retriever.corpus.rejects import Reject
from retriever.corpus.sources import Source
from retriever.corpus.text import check_encoding, read_lines

__all__ = ["parse_object", "read_objects"]


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant)  # NaN and Infinity are refused


def read_objects(source: Source, reject: Reject) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Yield each line's number and object; blank lines are passed over."""
    for number, line in enumerate(map(str.rstrip, read_lines(source)), 1):
        if not line:
            continue
        try:
            value = parse_object(line)
        except CorpusError as error:
            reject(CorpusError(f"{source.place(number)}: {error}"))
        else:
            yield number, value


def parse_object(line: str) -> Mapping[str, Any]:
    """Parse one line.

    Raises:
        CorpusError: when it is not a JSON object, or not all of it is Unicode text.

    """
    check_encoding(line)
    try:
        value = _DECODER.decode(line)
    except json.JSONDecodeError as error:
        raise CorpusError(_explain(line, error)) from error
    except (ValueError, RecursionError) as error:  # numbers of too many digits, deep nesting
        raise CorpusError(f"expected a JSON object, found one beyond bounds: {error}") from error
    if not isinstance(value, dict):
        raise CorpusError(f"expected a JSON object, found {_kind(value)}{_hint(value)}")
    if "\\u" in line:  # only an escape can smuggle in half a surrogate pair
        check_encoding(json.dumps(value, ensure_ascii=False))
    return value


def _explain(line: str, error: json.JSONDecodeError) -> str:
    found = f"found {line[error.pos : error.pos + 40]!r}" if line[error.pos :] else "the line ends"
    message = f"expected a JSON object, {found} at character {error.pos + 1} ({error.msg})"
    if line.lstrip().startswith("["):
        message += "; a JSON array is not JSON Lines: convert it with jq -c '.[]'"
    if "\0" in line:
        message += "; is it UTF-16 without a byte order mark? Save it as UTF-8"
    return message


def _kind(value: object) -> str:
    names = {list: "an array", str: "a string", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number")


def _hint(value: object) -> str:
    if isinstance(value, list):
        return "; a JSON array is not JSON Lines: convert it with jq -c '.[]'"
    return ""
