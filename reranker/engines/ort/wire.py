"""ONNX models as bytes: the few messages of the format that a graph needs, without a library.

The ``onnx`` package would take longer to import than a model takes to load, for the sake of some
dozens of short messages. They are written here field by field, as protocol buffers lay them out
(https://protobuf.dev/programming-guides/encoding); numbers of fields and types are those of
https://github.com/onnx/onnx/blob/main/onnx/onnx.proto. A test reads them back with ``onnx``.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import TypeAlias

__all__ = ["IR_VERSION", "TYPES", "Attribute", "initializer", "model", "node", "value"]

Attribute: TypeAlias = int | float | str | Sequence[int]

# TensorProto.DataType, by NumPy's names
TYPES: Mapping[str, int] = {
    "float32": 1,
    "uint8": 2,
    "int8": 3,
    "int32": 6,
    "int64": 7,
    "float16": 10,
}
IR_VERSION = 10
_EXTERNAL = 1  # TensorProto.DataLocation


def node(
    kind: str,
    inputs: Sequence[str],
    outputs: Sequence[str],
    domain: str,
    attributes: Mapping[str, Attribute],
) -> bytes:
    """Return a NodeProto; an input that is left out is an empty name."""
    return b"".join(
        (
            *(_text(1, name) for name in inputs),
            *(_text(2, name) for name in outputs),
            _text(4, kind),
            *(_bytes(5, _attribute(name, given)) for name, given in attributes.items()),
            _text(7, domain),
        )
    )


def initializer(name: str, kind: str, shape: Sequence[int], data: bytes | None = None) -> bytes:
    """Return a TensorProto; without data it is one whose values are handed to the session."""
    head = b"".join(_integer(1, size) for size in shape) + _integer(2, TYPES[kind]) + _text(8, name)
    if data is not None:
        return head + _bytes(9, data)
    entry = _text(1, "location") + _text(2, "memory")  # never opened: the session has the values
    return head + _bytes(13, entry) + _integer(14, _EXTERNAL)


def value(name: str, kind: str, shape: Sequence[str | int]) -> bytes:
    """Return a ValueInfoProto; sizes that vary are names."""
    sizes = (_integer(1, size) if isinstance(size, int) else _text(2, size) for size in shape)
    dimensions = b"".join(_bytes(1, size) for size in sizes)
    tensor = _integer(1, TYPES[kind]) + _bytes(2, dimensions)
    return _text(1, name) + _bytes(2, _bytes(1, tensor))


def model(
    *,
    nodes: Sequence[bytes],
    initializers: Sequence[bytes],
    inputs: Sequence[bytes],
    outputs: Sequence[bytes],
    opsets: Mapping[str, int],
    ir_version: int = IR_VERSION,
) -> bytes:
    """Return a ModelProto of one graph."""
    graph = b"".join(
        (
            *(_bytes(1, part) for part in nodes),
            _text(2, "twopass"),
            *(_bytes(5, part) for part in initializers),
            *(_bytes(11, part) for part in inputs),
            *(_bytes(12, part) for part in outputs),
        )
    )
    used = (_text(1, domain) + _integer(2, version) for domain, version in opsets.items())
    return (
        _integer(1, ir_version)
        + _text(2, "twopass")
        + _bytes(7, graph)
        + b"".join(_bytes(8, opset) for opset in used)
    )


def _attribute(name: str, given: Attribute) -> bytes:
    """Return an AttributeProto of the type that the value has."""
    match given:
        case float():
            return _text(1, name) + _tag(2, 5) + struct.pack("<f", given) + _integer(20, 1)
        case int():
            return _text(1, name) + _integer(3, given) + _integer(20, 2)
        case str():
            return _text(1, name) + _text(4, given) + _integer(20, 3)
        case _:
            numbers = b"".join(_integer(8, number) for number in given)
            return _text(1, name) + numbers + _integer(20, 7)


def _tag(field: int, kind: int) -> bytes:
    return _varint(field << 3 | kind)


def _integer(field: int, number: int) -> bytes:
    return _tag(field, 0) + _varint(number)


def _text(field: int, text: str) -> bytes:
    return _bytes(field, text.encode())


def _bytes(field: int, content: bytes) -> bytes:
    return _tag(field, 2) + _varint(len(content)) + content


def _varint(number: int) -> bytes:
    """Seven bits a byte, the lowest first; negative numbers as unsigned ones of 64 bits."""
    number &= (1 << 64) - 1
    parts = bytearray()
    while number > 0x7F:
        parts.append(number & 0x7F | 0x80)
        number >>= 7
    parts.append(number)
    return bytes(parts)
