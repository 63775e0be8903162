"""ONNX graphs: nodes, constants and weights, and the format's bytes, written without a library.

The ``onnx`` package would take longer to import than a model takes to load, for a few dozens of
short messages. They are written here field by field, as protocol buffers lay them out
(https://protobuf.dev/programming-guides/encoding); numbers of fields and types are those of
https://github.com/onnx/onnx/blob/main/onnx/onnx.proto. A test reads them back with ``onnx``.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "FUSED",
    "IR_VERSION",
    "OUTPUT",
    "TYPES",
    "Attribute",
    "Graph",
    "initializer_message",
    "model_message",
    "node_message",
    "value_message",
]


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


def node_message(
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


def initializer_message(
    name: str, kind: str, shape: Sequence[int], data: bytes | None = None
) -> bytes:
    """Return a TensorProto; without data it is one whose values are handed to the session."""
    head = b"".join(_integer(1, size) for size in shape) + _integer(2, TYPES[kind]) + _text(8, name)
    if data is not None:
        return head + _bytes(9, data)
    entry = _text(1, "location") + _text(2, "memory")  # never opened: the session has the values
    return head + _bytes(13, entry) + _integer(14, _EXTERNAL)


def value_message(name: str, kind: str, shape: Sequence[str | int]) -> bytes:
    """Return a ValueInfoProto; sizes that vary are names."""
    sizes = (_integer(1, size) if isinstance(size, int) else _text(2, size) for size in shape)
    dimensions = b"".join(_bytes(1, size) for size in sizes)
    tensor = _integer(1, TYPES[kind]) + _bytes(2, dimensions)
    return _text(1, name) + _bytes(2, _bytes(1, tensor))


def model_message(
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


FUSED = "com.microsoft"  # ONNX Runtime's own operators
OUTPUT = "logits"
_OPSETS = {"": 20, FUSED: 1}


class Graph:
    """Nodes of an ONNX graph, and arrays by name that the nodes read.

    Attributes:
        arrays: what the session is handed beside the graph.

    """

    def __init__(self) -> None:
        self.arrays: dict[str, NDArray[Any]] = {}
        self._nodes: list[bytes] = []
        self._constants: dict[str, bytes] = {}
        self._inputs: list[bytes] = []
        self._output = b""

    def input(self, name: str, kind: str, shape: Sequence[str | int]) -> str:
        """Declare an input; sizes that vary are names."""
        self._inputs.append(value_message(name, kind, shape))
        return name

    def array(self, name: str, values: NDArray[Any]) -> str:
        """Add a weight, to be handed over as it lies in memory."""
        self.arrays[name] = np.ascontiguousarray(values)
        return name

    def constant(self, values: Sequence[int] | int | float) -> str:
        """Add a small constant: int64, or float32 for a float."""
        kind = "float32" if isinstance(values, float) else "int64"
        numbers = np.array(values, dtype=kind)
        name = f"{kind} {values}"
        self._constants[name] = initializer_message(name, kind, numbers.shape, numbers.tobytes())
        return name

    def add(self, kind: str, *inputs: str, domain: str = "", **attributes: Attribute) -> str:
        """Add a node of one output and return the output's name."""
        return self.split(kind, *inputs, parts=1, domain=domain, **attributes)[0]

    def split(
        self, kind: str, *inputs: str, parts: int, domain: str = "", **attributes: Attribute
    ) -> list[str]:
        """Add a node of several outputs and return their names."""
        outputs = [f"{kind} {len(self._nodes)} {part}" for part in range(parts)]
        self._nodes.append(node_message(kind, inputs, outputs, domain, attributes))
        return outputs

    def widened(self, output: str, array: str) -> str:
        """Return an output that was taken from an array as float32."""
        if self.arrays[array].dtype == np.float32:
            return output
        return self.add("Cast", output, to=TYPES["float32"])

    def output(self, name: str, shape: Sequence[str | int]) -> None:
        """Declare what the graph gives: one value, float32."""
        self._nodes.append(node_message("Identity", [name], [OUTPUT], "", {}))
        self._output = value_message(OUTPUT, "float32", shape)

    def written(
        self,
        *,
        whole: bool = False,
        opsets: Mapping[str, int] = _OPSETS,
        ir_version: int = IR_VERSION,
    ) -> bytes:
        """Return the model.

        Args:
            whole: put the arrays' values into it; otherwise only their names are written.
            opsets: versions of the operators, by domain.
            ir_version: of the format.

        """
        arrays = (
            initializer_message(
                name, array.dtype.name, array.shape, array.tobytes() if whole else None
            )
            for name, array in self.arrays.items()
        )
        return model_message(
            nodes=self._nodes,
            initializers=[*self._constants.values(), *arrays],
            inputs=self._inputs,
            outputs=[self._output],
            opsets=opsets,
            ir_version=ir_version,
        )
