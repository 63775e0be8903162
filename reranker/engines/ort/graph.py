"""A graph as it grows: nodes in order, constants, and the weights that go with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reranker.engines.ort import wire

__all__ = ["FUSED", "OUTPUT", "Graph"]

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
        self._inputs.append(wire.value(name, kind, shape))
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
        self._constants[name] = wire.initializer(name, kind, numbers.shape, numbers.tobytes())
        return name

    def add(self, kind: str, *inputs: str, domain: str = "", **attributes: wire.Attribute) -> str:
        """Add a node of one output and return the output's name."""
        return self.split(kind, *inputs, parts=1, domain=domain, **attributes)[0]

    def split(
        self, kind: str, *inputs: str, parts: int, domain: str = "", **attributes: wire.Attribute
    ) -> list[str]:
        """Add a node of several outputs and return their names."""
        outputs = [f"{kind} {len(self._nodes)} {part}" for part in range(parts)]
        self._nodes.append(wire.node(kind, inputs, outputs, domain, attributes))
        return outputs

    def widened(self, output: str, array: str) -> str:
        """Return an output that was taken from an array as float32."""
        if self.arrays[array].dtype == np.float32:
            return output
        return self.add("Cast", output, to=wire.TYPES["float32"])

    def output(self, name: str, shape: Sequence[str | int]) -> None:
        """Declare what the graph gives: one value, float32."""
        self._nodes.append(wire.node("Identity", [name], [OUTPUT], "", {}))
        self._output = wire.value(OUTPUT, "float32", shape)

    def written(
        self,
        *,
        whole: bool = False,
        opsets: Mapping[str, int] = _OPSETS,
        ir_version: int = wire.IR_VERSION,
    ) -> bytes:
        """Return the model.

        Args:
            whole: put the arrays' values into it; otherwise they are named alone.
            opsets: versions of the operators, by domain.
            ir_version: of the format.

        """
        arrays = (
            wire.initializer(
                name, array.dtype.name, array.shape, array.tobytes() if whole else None
            )
            for name, array in self.arrays.items()
        )
        return wire.model(
            nodes=self._nodes,
            initializers=[*self._constants.values(), *arrays],
            inputs=self._inputs,
            outputs=[self._output],
            opsets=opsets,
            ir_version=ir_version,
        )
