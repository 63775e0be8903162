"""Lines of UTF-8 text from bytes, plain or gzipped, and JSON Lines: one object a line."""

from __future__ import annotations

import codecs
import gzip
import io
import json
import sys
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, cast

from twopass.retriever.corpus.records import ErrorHandler
from twopass.retriever.corpus.sources import Source
from twopass.retriever.errors import CorpusError

__all__ = [
    "check_encoding",
    "parse_object",
    "read_lines",
    "read_objects",
]


_GZIP = b"\x1f\x8b"
_OTHER_MARKS = {  # the four-byte mark first: it starts with the two-byte one
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}


def read_lines(source: Source) -> Iterator[str]:
    """Yield the source's lines with their ends, decoded.

    What cannot be decoded comes as lone surrogates, so that one bad line does not end the
    reading: ``check_encoding`` finds them.

    Raises:
        CorpusError: when the source cannot be opened, is damaged, or is in UTF-16 or UTF-32.

    """
    number = 0
    try:
        with _open_text(source) as text:
            for number, line in enumerate(text, 1):  # noqa: B007
                yield line
    except (OSError, EOFError, zlib.error) as error:
        where = f" after line {number}" if number else ""
        raise CorpusError(f"{source.name}: cannot be read{where}: {_reason(error)}") from error


def check_encoding(text: str) -> None:
    """Raise CorpusError when the text holds bytes that could not be decoded."""
    if text.isascii():  # nearly free, and true of most lines
        return
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise CorpusError(_describe(text, error.start)) from error


def _describe(text: str, position: int) -> str:
    code = ord(text[position])
    where = f"at character {position + 1}, after {text[max(0, position - 20) : position]!r}"
    if 0xDC80 <= code <= 0xDCFF:  # how surrogateescape marks a byte
        return (
            f"expected UTF-8, found the byte 0x{code - 0xDC00:02x} {where}; "
            "convert the file (iconv -f WINDOWS-1252 -t UTF-8 FILE, if that is its encoding)"
        )
    return f"expected Unicode text, found half a surrogate pair, U+{code:04X}, {where}"


@contextmanager
def _open_text(source: Source) -> Iterator[io.TextIOWrapper]:
    with _open_bytes(source) as raw:
        stream = raw
        if raw.peek(2).startswith(_GZIP):
            stream = cast("io.BufferedReader", gzip.GzipFile(fileobj=raw))
        _refuse_other_encodings(source, stream.peek(4))
        text = io.TextIOWrapper(stream, "utf-8-sig", errors="surrogateescape", newline="")
        try:
            yield text
        finally:
            text.detach()


def _refuse_other_encodings(source: Source, head: bytes) -> None:
    for mark, name in _OTHER_MARKS.items():
        if head.startswith(mark):
            raise CorpusError(
                f"{source.name}: expected UTF-8, found the byte order mark of {name}; "
                f"convert the file (iconv -f {name} -t UTF-8 FILE)"
            )


@contextmanager
def _open_bytes(source: Source) -> Iterator[io.BufferedReader]:
    if source.path is None:
        yield cast("io.BufferedReader", sys.stdin.buffer)
        return
    with source.path.open("rb") as stream:
        yield stream


def _reason(error: Exception) -> str:
    if isinstance(error, EOFError | zlib.error | gzip.BadGzipFile):
        return f"expected a whole gzip file, found a damaged or cut one ({error})"
    return str(error.strerror if isinstance(error, OSError) else error)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant)  # NaN and Infinity are refused


def read_objects(source: Source, reject: ErrorHandler) -> Iterator[tuple[int, Mapping[str, Any]]]:
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
        message += "; is it UTF-16? Convert it (iconv -f UTF-16LE -t UTF-8 FILE)"
    return message


def _kind(value: object) -> str:
    names = {list: "an array", str: "a string", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number")


def _hint(value: object) -> str:
    if isinstance(value, list):
        return "; a JSON array is not JSON Lines: convert it with jq -c '.[]'"
    return ""
