"""Which engine runs a model: the only module that chooses one by name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

from twopass.reranker.architectures import architecture_of, known_types
from twopass.reranker.contract.errors import ModelError
from twopass.reranker.engines.engine import Engine
from twopass.reranker.engines.hardware import is_cpu
from twopass.reranker.engines.onnx.engine import OnnxEngine
from twopass.reranker.engines.replicas import Replicas
from twopass.reranker.files.model_folder import ModelFolder
from twopass.reranker.files.weights import Weights
from twopass.reranker.text.tokenizer import ModelTokenizer

if TYPE_CHECKING:
    from twopass.reranker.engines.torch.engine import Precision

__all__ = ["ConcretePrecision", "EngineName", "PrecisionName", "choose_engine", "settled_precision"]

ConcretePrecision = Literal["fp32", "bf16", "fp16", "int8"]
PrecisionName = Literal["auto", ConcretePrecision]
EngineName = Literal["auto", "onnx", "packed", "torch"]

_WIDTHS = ("hidden_size", "dim", "d_model")  # what configurations call it


def choose_engine(
    folder: ModelFolder,
    tokenizer: ModelTokenizer,
    *,
    devices: Sequence[str] = (),
    precision: ConcretePrecision,
    name: EngineName,
    graphs: bool = False,
    trust_remote_code: bool = False,
) -> Engine:
    """Return the engine of that name, or the fastest that takes the model on the device.

    Args:
        folder: the model's.
        tokenizer: its tokeniser.
        devices: where it runs, on all of them; none for the best one available.
        precision: of the products.
        name: the engine's.
        graphs: whether a GPU starts small batches as CUDA graphs, where the engine can.
        trust_remote_code: run code that comes with the model.

    Raises:
        ModelError: when a device or the engine is unknown, the engine does not take the model or
            the precision, or the model cannot be loaded.

    """
    _check_name("an engine", name, EngineName)
    request = _Request(folder, tokenizer, precision, name, graphs, trust_remote_code)
    wanted: Sequence[str | None] = devices or [None]
    engines = [request.engine(device) for device in wanted]
    return engines[0] if len(engines) == 1 else Replicas(engines)


def settled_precision(
    precision: PrecisionName, folder: ModelFolder, devices: Sequence[str], name: EngineName
) -> ConcretePrecision:
    """Return the precision; for ``"auto"`` the one that is fast for models as wide as this one.

    Args:
        precision: what is wanted.
        folder: the model's.
        devices: where it runs; the first one is measured.
        name: the engine's; that of ONNX Runtime has no precision to choose from.

    Raises:
        ModelError: when the precision or the device is unknown.

    """
    _check_name("a precision", precision, PrecisionName)
    if precision != "auto":
        return precision
    if name == "onnx":
        return "fp32"
    from twopass.reranker.engines.precision import faster_precision
    from twopass.reranker.engines.torch.engine import choose_device

    widths = (folder.config.get(key) for key in _WIDTHS)
    width = next((width for width in widths if isinstance(width, int) and width > 0), 768)
    return faster_precision(width, choose_device(next(iter(devices), None)))


@dataclass(frozen=True, slots=True)
class _Request:
    """What an engine is made for; fields as the arguments of :func:`choose_engine`."""

    folder: ModelFolder
    tokenizer: ModelTokenizer
    precision: ConcretePrecision
    name: EngineName
    graphs: bool
    trust_remote_code: bool

    def engine(self, device: str | None) -> Engine:
        """Return the engine for one device."""
        if self.name == "onnx" or self.precision == "int8":
            return self._onnx(device)
        fastest = self.name == "auto" and self.precision == "fp32" and is_cpu(device)
        if fastest and not self.trust_remote_code:
            try:
                return self._onnx(device)
            except ModelError:
                pass  # torch takes it, or knows best what is wrong with it
        return self._torch(device, self.precision)

    def _onnx(self, device: str | None) -> Engine:
        """Return the engine that needs no torch."""
        if device not in (None, "cpu"):
            raise ModelError(f"expected device 'cpu' for ONNX Runtime, found {device!r}")
        if self.name not in ("auto", "onnx"):
            raise ModelError(f"expected engine 'onnx' for precision 'int8', found {self.name!r}")
        precision = self.precision
        if precision not in ("fp32", "int8"):
            raise ModelError(
                f"expected a precision of fp32, int8 for engine 'onnx', found {precision!r}"
            )
        architecture = architecture_of(self.folder.config)
        if architecture is None:
            raise self._unknown(self.folder.config.get("model_type"))
        with Weights(self.folder) as weights:
            return OnnxEngine(
                architecture, weights, typed=self.tokenizer.typed, precision=precision
            )

    def _torch(self, device: str | None, precision: Precision) -> Engine:
        """Return an engine of torch."""
        from twopass.reranker.engines.torch.engine import TorchEngine, choose_device
        from twopass.reranker.engines.torch.packed import PackedEngine
        from twopass.reranker.files.weights import load_classifier

        where = choose_device(device)
        model = load_classifier(self.folder, trust_remote_code=self.trust_remote_code)
        if self.name != "torch" and PackedEngine.takes(model):
            return PackedEngine(
                model,
                typed=self.tokenizer.typed,
                device=where,
                precision=precision,
                graphs=self.graphs,
            )
        if self.name == "packed":
            raise self._unknown(type(model).__name__)
        return TorchEngine(model, self.tokenizer, device=where, precision=precision)

    def _unknown(self, found: object) -> ModelError:
        return ModelError(
            f"expected a model of a known family ({known_types()}) for engine {self.name!r}, "
            f"found {found!r}; engine='torch' takes it"
        )


def _check_name(kind: str, name: str, known: object) -> None:
    names = get_args(known)
    if name not in names:
        raise ModelError(f"expected {kind} of {', '.join(names)}, found {name!r}")
