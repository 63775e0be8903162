"""A model's name -> what it takes to score with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any
from uuid import uuid4

from twopass.reranker.contract.errors import ModelError
from twopass.reranker.engines.choice import (
    EngineName,
    PrecisionName,
    choose_engine,
    settled_precision,
)
from twopass.reranker.engines.engine import Engine
from twopass.reranker.engines.hardware import device_names
from twopass.reranker.files.model_folder import ModelFolder, locate_model, model_fingerprint
from twopass.reranker.scorers import activations
from twopass.reranker.scorers.activations import Activation
from twopass.reranker.text.encoding import PairEncoder
from twopass.reranker.text.tokenizer import ModelTokenizer

__all__ = ["LoadedModel", "load_model"]


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """The parts of a cross-encoder.

    Attributes:
        encoder: pairs -> token ids.
        engine: token ids -> logits.
        activation: logits -> scores, where the caller asks for nothing else.
        fingerprint: computes a text that changes whenever scores could; it reads the files.

    """

    encoder: PairEncoder
    engine: Engine
    activation: Activation
    fingerprint: Callable[[], str]


def load_model(
    name_or_path: str | PathLike[str],
    *,
    device: str | Sequence[str] | None = None,
    max_length: int | None = None,
    activation_fn: Callable[[Any], Any] | None = None,
    num_labels: int | None = None,
    precision: PrecisionName = "fp32",
    engine: EngineName = "auto",
    cuda_graphs: bool = False,
    max_query_length: int | None = None,
    stored_tokens: str | PathLike[str] | None = None,
    trust_remote_code: bool = False,
    **source: Any,
) -> LoadedModel:
    """Find and load a model; the arguments are those of :class:`~twopass.reranker.CrossEncoder`.

    Raises:
        ModelError: when the model cannot be had, or is no cross-encoder.

    """
    folder = ModelFolder.read(
        locate_model(name_or_path, trust_remote_code=trust_remote_code, **source)
    )
    tokenizer = ModelTokenizer.load(folder.path, trust_remote_code=trust_remote_code)
    devices = device_names(device)
    precise = settled_precision(precision, folder, devices, engine)
    runner = choose_engine(
        folder,
        tokenizer,
        devices=devices,
        precision=precise,
        name=engine,
        graphs=cuda_graphs,
        trust_remote_code=trust_remote_code,
    )
    _check_vocabulary(runner, tokenizer)
    if num_labels not in (None, runner.labels):
        raise ModelError(f"expected a model of {num_labels} labels, found {runner.labels}")
    encoder = PairEncoder(
        tokenizer.backend,
        tokenizer.limit(runner.max_positions, folder.max_length, max_length),
        max_query_length=max_query_length,
        cut_left=tokenizer.cuts_left,
        stored=None if stored_tokens is None else Path(stored_tokens),
    )
    decides = {
        "activation": _function_name(activation_fn) or folder.activation,
        "engine": type(runner).__name__,
        "max_length": encoder.max_length,
        "max_query_length": max_query_length,
        "precision": precise,
    }
    return LoadedModel(
        encoder,
        runner,
        _activation(activation_fn, folder, runner.labels),
        partial(model_fingerprint, folder.path, decides),
    )


def _check_vocabulary(engine: Engine, tokenizer: ModelTokenizer) -> None:
    """Refuse a tokeniser of another model, whose tokens this one has no place for."""
    if tokenizer.backend.get_vocab_size() > engine.vocabulary_size:
        raise ModelError(
            f"expected a tokenizer of at most the model's {engine.vocabulary_size} tokens, "
            f"found one of {tokenizer.backend.get_vocab_size()}: it belongs to another model"
        )


def _activation(
    wanted: Callable[[Any], Any] | None, folder: ModelFolder, labels: int
) -> Activation:
    if wanted is not None:
        return activations.of_torch(wanted)
    if folder.activation is not None:
        return activations.by_path(folder.activation)
    return activations.default(labels)


def _function_name(function: Any) -> str | None:
    """Name a function so that only the same one has the name; None for None.

    What has no name of its own, as a lambda or an object, is like nothing else.
    """
    if function is None:
        return None
    name = f"{getattr(function, '__module__', '')}.{getattr(function, '__qualname__', '<')}"
    return f"unnamed {uuid4()}" if "<" in name else name
