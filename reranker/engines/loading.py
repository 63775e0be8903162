"""A folder's weights -> a torch module that is known to be whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reranker.base import ModelError
from reranker.folder import ModelFolder
from reranker.quiet import quiet_transformers

if TYPE_CHECKING:
    from torch import nn

__all__ = ["load_classifier", "positions"]


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
        raise ModelError(
            f"expected a sequence-classification model in {str(folder.path)!r}, could not load it: "
            f"{type(error).__name__}: {str(error).strip().splitlines()[0]:.200}"
        ) from error
    _check_whole(folder, report)
    module: nn.Module = model.float().eval()
    _check_finite(folder, module)
    return module


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
        kinds = ", ".join(folder.config.get("architectures") or ["unknown architecture"])
        raise ModelError(
            f"expected a cross-encoder (a sequence-classification model) in {str(folder.path)!r}, "
            f"found {kinds} without the weights {_some(missing)}"
        )
    if mismatched:
        raise ModelError(
            f"expected weights that fit config.json in {str(folder.path)!r}, found other shapes of "
            f"{_some(mismatched)}"
        )


def _check_finite(folder: ModelFolder, model: nn.Module) -> None:
    broken = [
        name for name, values in model.named_parameters() if not bool(values.isfinite().all())
    ]
    if broken:
        raise ModelError(
            f"expected finite weights in {str(folder.path)!r}, found NaN or infinity in "
            f"{_some(broken)}; the file is damaged or its training diverged"
        )


def _some(names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more
