"""A folder's weights -> a torch module that is known to be whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reranker.engines.wholeness import not_finite, not_there, of_other_shape, unreadable
from reranker.folder import ModelFolder
from reranker.quiet import quiet_transformers

if TYPE_CHECKING:
    from torch import nn

__all__ = ["load_classifier", "positions", "words"]


def load_classifier(folder: ModelFolder, *, trust_remote_code: bool = False) -> nn.Module:
    """Load a sequence-classification model, in fp32, ready for inference, on the CPU.

    Raises:
        ModelError: when the weights cannot be read, some are missing (as the head of a model that
            is no classifier), have another shape than the configuration says, or are not finite.

    """
    from transformers import AutoModelForSequenceClassification

    try:
        with quiet_transformers():
            model, report = AutoModelForSequenceClassification.from_pretrained(
                str(folder.path),
                local_files_only=True,
                use_safetensors=True,
                trust_remote_code=trust_remote_code,
                ignore_mismatched_sizes=True,
                output_loading_info=True,
            )
    except Exception as error:
        raise unreadable(folder, error) from error
    _check_whole(folder, report)
    module: nn.Module = model.float().eval()
    _check_finite(folder, module)
    return module


def words(model: nn.Module) -> int:
    """Return how many tokens the model knows."""
    classifier: Any = model
    return int(classifier.get_input_embeddings().num_embeddings)


def positions(model: nn.Module) -> int | None:
    """Return for how many tokens the model has places, or None where it is not limited.

    Models of RoBERTa's kind begin to count behind the padding token's number, so that they have
    fewer places than ``max_position_embeddings`` says.
    """
    from torch import nn

    config: Any = model.config
    places = getattr(config, "max_position_embeddings", -1)
    if places is None or places < 0:
        return None
    for name, module in model.named_modules():
        if name.endswith("position_embeddings") and isinstance(module, nn.Embedding):
            skipped = 0 if module.padding_idx is None else module.padding_idx + 1
            return int(places) - skipped
    return int(places)


def _check_whole(folder: ModelFolder, report: Any) -> None:
    """Refuse what transformers would fill up with random numbers."""
    missing = sorted(report["missing_keys"])
    mismatched = sorted(str(entry[0]) for entry in report["mismatched_keys"])
    if missing:
        raise not_there(folder, missing)
    if mismatched:
        raise of_other_shape(folder, mismatched)


def _check_finite(folder: ModelFolder, model: nn.Module) -> None:
    broken = [
        name for name, values in model.named_parameters() if not bool(values.isfinite().all())
    ]
    if broken:
        raise not_finite(folder, broken)
