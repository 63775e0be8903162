"""From bytes to lines of text: gzip by its magic bytes, encoding by the byte order mark."""

from __future__ import annotations

import codecs
import gzip
import io
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

from retriever.base import CorpusError
from retriever.corpus.sources import Source

__all__ = ["check_encoding", "read_lines"]

_GZIP = b"\x1f\x8b"
_ENCODINGS = (
    # The four-byte mark first: it begins with the two-byte one.
    (codecs.BOM_UTF32_LE, "utf-32", "surrogatepass"),
    (codecs.BOM_UTF32_BE, "utf-32", "surrogatepass"),
    (codecs.BOM_UTF16_LE, "utf-16", "surrogatepass"),
    (codecs.BOM_UTF16_BE, "utf-16", "surrogatepass"),
    (codecs.BOM_UTF8, "utf-8-sig", "surrogateescape"),
    (b"", "utf-8", "surrogateescape"),
)


def read_lines(source: Source) -> Iterator[str]:
    """Yield the source's lines with their ends, decoded.

    What cannot be decoded comes as lone surrogates, so that one bad line does not end the
    reading: ``check_encoding`` tells them.

    Raises:
        CorpusError: when the source cannot be opened or is damaged.

    """
    number = 0
    try:
        with _open_text(source) as text:
            for number, line in enumerate(text, 1):  # noqa: B007
                yield line
    except (OSError, EOFError, zlib.error, UnicodeError) as error:
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
        head = stream.peek(4)
        encoding, errors = next(
            (name, errors) for mark, name, errors in _ENCODINGS if head.startswith(mark)
        )
        text = io.TextIOWrapper(stream, encoding=encoding, errors=errors, newline="")
        try:
            yield text
        finally:
            text.detach()


@contextmanager
def _open_bytes(source: Source) -> Iterator[io.BufferedReader]:
    if source.path is None:
        yield cast("io.BufferedReader", sys.stdin.buffer)
        return
    with source.path.open("rb") as stream:
        yield stream


def _reason(error: Exception) -> str:
    if isinstance(error, UnicodeError):
        return f"expected {getattr(error, 'encoding', 'text')}, found a cut or wrong sequence"
    if isinstance(error, EOFError | zlib.error | gzip.BadGzipFile):
        return f"expected a whole gzip file, found a damaged or cut one ({error})"
    return str(error.strerror if isinstance(error, OSError) else error)
