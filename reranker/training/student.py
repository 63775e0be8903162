"""The weights to begin with: a model as it is, with fewer layers, or a small new one."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any, Literal

from twopass.reranker.console import quiet_transformers
from twopass.reranker.contract.errors import ModelError, RecipeError
from twopass.reranker.engines.torch.engine import choose_device
from twopass.reranker.files.model_folder import ModelFolder, locate_model
from twopass.reranker.files.weights import max_positions
from twopass.reranker.text.encoding import PairEncoder
from twopass.reranker.text.tokenizer import ModelTokenizer
from twopass.reranker.training.initial_weights import new_student
from twopass.reranker.training.recipe import Recipe
from twopass.reranker.training.subject import Subject

__all__ = ["layer_numbers", "start_from", "take_layers"]

_HEADS = ("classifier", "pooler", "score", "head", "pre_classifier")


def start_from(
    name_or_path: str | PathLike[str],
    recipe: Recipe,
    *,
    layers: int | None = None,
    take: Literal["lower", "even"] = "even",
    hidden: int | None = None,
    texts: Sequence[str] = (),
    device: str | None = None,
    name: str | None = None,
) -> Subject:
    """Return a cross-encoder to be trained, with one label.

    Args:
        name_or_path: a model that ships, a folder or a name on the hub: a cross-encoder, or an
            encoder, which gets a new head (by the recipe's seed).
        recipe: its lengths, dropout and seed count here.
        layers: how many layers to keep; all by default.
        take: which: the lower ones, or evenly spaced ones.
        hidden: make a new, small BERT of this width instead, of ``layers`` layers (2), built from
            what the model knows of words.
        texts: of a new, small BERT: count how rare words are in these.
        device: cpu, cuda, ...; by default a GPU if there is one.
        name: what the weights are called, where a folder's path says little.

    Raises:
        ModelError: when the model cannot be had.
        RecipeError: when it has not so many layers.

    """
    import torch

    where = choose_device(device)
    folder = ModelFolder.read(locate_model(name_or_path))
    torch.manual_seed(recipe.seed)
    model, tokenizer = _loaded(folder.path, eager=where.type == "cpu")
    if hidden is not None:
        model = new_student(model, tokenizer, layers=layers or 2, hidden=hidden, texts=texts)
    elif layers is not None:
        take_layers(model, layer_numbers(model.config.num_hidden_layers, layers, take))
    if recipe.dropout is not None:
        for module in model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = recipe.dropout
    reading = ModelTokenizer.load(folder.path)
    longest = reading.limit(max_positions(model), folder.max_length, recipe.max_length)
    encoder = PairEncoder(
        reading.backend,
        longest,
        max_query_length=recipe.max_query_length and min(recipe.max_query_length, longest // 2),
        cut_left=reading.cuts_left,
    )
    cut = hidden is not None or layers is not None
    shape = f" ({layers or 2} layers, {hidden or take})" if cut else ""
    return Subject(
        model.to(where), tokenizer, reading, encoder, where, f"{name or name_or_path}{shape}"
    )


def layer_numbers(total: int, count: int, take: Literal["lower", "even"]) -> list[int]:
    """Return which layers to keep, from 0: the lowest, or from the first to the last evenly.

    Raises:
        RecipeError: when there are not so many.

    """
    if not 1 <= count <= total:
        raise RecipeError(f"layers: expected 1 to the model's {total}, found {count}")
    if take == "lower" or count == 1:
        return list(range(count))
    return [round(at * (total - 1) / (count - 1)) for at in range(count)]


def take_layers(model: Any, numbers: list[int]) -> None:
    """Leave a model only these of its layers, in this order.

    What a few layers of a trained model are worth as a beginning: Sanh et al. 2019 (DistilBERT),
    arXiv:1910.01108; Sajjad et al. 2020, arXiv:2004.03844.

    Raises:
        ModelError: when the layers are not found.

    """
    from torch import nn

    total = model.config.num_hidden_layers
    for module in model.modules():
        for name, child in module.named_children():
            if isinstance(child, nn.ModuleList) and len(child) == total:
                setattr(module, name, nn.ModuleList(child[number] for number in numbers))
                kinds = getattr(model.config, "layer_types", None)
                model.config.num_hidden_layers = len(numbers)
                if kinds:
                    model.config.layer_types = [kinds[number] for number in numbers]
                return
    raise ModelError(f"expected a list of {total} layers in {type(model).__name__}, found none")


def _loaded(folder: Path, *, eager: bool) -> tuple[Any, Any]:
    """Load a classifier in fp32, with a new head where the folder holds an encoder alone."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    # eager attention's backward pass costs twice its forward pass on a CPU, sdpa's five times
    attention = {"attn_implementation": "eager"} if eager else {}
    try:
        with quiet_transformers():
            model, report = AutoModelForSequenceClassification.from_pretrained(
                str(folder),
                num_labels=1,
                local_files_only=True,
                use_safetensors=True,
                output_loading_info=True,
                ignore_mismatched_sizes=True,
                **attention,
            )
            tokenizer = AutoTokenizer.from_pretrained(str(folder), local_files_only=True)
    except Exception as error:
        raise ModelError(
            f"expected an encoder or a cross-encoder in {str(folder)!r}, could not load it: "
            f"{type(error).__name__}: {str(error).strip().splitlines()[0]:.200}"
        ) from error
    lost = [key for key in report["missing_keys"] if not set(key.split(".")) & set(_HEADS)]
    if lost:
        raise ModelError(f"expected a whole encoder in {str(folder)!r}, missing: {lost[0]}")
    return model.float(), tokenizer
