"""What a model's folder may hold, checked before anything of it is opened, allocated or built.

A folder from elsewhere is data. Its files lie in it, are ordinary files, and its configuration asks
for no more than its weights can fill.
"""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from twopass.reranker.contract.errors import ModelError

__all__ = ["INDEX", "check_files", "check_sizes", "weight_files"]

ONE, INDEX = "model.safetensors", "model.safetensors.index.json"

_MOST_JSON = 256 << 20  # bytes; the largest tokenizers have some tens of MiB
_MOST_LAYERS, _MOST = 1_000, {"num_labels": 100_000}
_PER_BYTE = 2  # weights, of four bits
_HARMLESS = 1 << 20  # weights; so few are built at once, whatever the file has
# names by which configurations call the number of layers, and the width that each has
_LAYERS = ("num_hidden_layers", "num_layers", "n_layers", "n_layer")
_WIDTHS = ("embedding_size", "hidden_size", "dim", "d_model", "n_embd")
# sizes of which each needs a row as wide as the model
_ROWS = ("vocab_size", "num_labels", "intermediate_size", "type_vocab_size")


def check_files(folder: Path) -> None:
    """Refuse a folder whose files lie elsewhere, or are none.

    Links may lead to other files of the folder and, in a cache of the Hugging Face hub, to those of
    the same model's.

    Raises:
        ModelError: naming the first that may not be there.

    """
    home = _home(folder)
    for path in sorted(folder.iterdir()):
        try:
            mode = path.stat().st_mode
        except OSError:  # a link that leads nowhere is no file
            continue
        if stat.S_ISDIR(mode):
            continue
        if not stat.S_ISREG(mode):
            raise ModelError(f"expected ordinary files in {str(folder)!r}, found {path.name!r}")
        if path.is_symlink() and not path.resolve().is_relative_to(home):
            raise ModelError(
                f"expected files in {str(folder)!r}, found the link {path.name!r}, which leads out "
                "of it; copy the file into the folder"
            )
        if path.suffix == ".json" and path.stat().st_size > _MOST_JSON:
            raise ModelError(f"expected at most {_MOST_JSON} bytes of JSON in {str(path)!r}")


def _home(folder: Path) -> Path:
    """Return the folder in which all files must lie."""
    home = folder.resolve()
    if home.parent.name == "snapshots" and home.parents[1].name.startswith("models--"):
        return home.parents[1]
    return home


def weight_files(folder: Path) -> list[Path]:
    """List the files with the weights: one, or those that an index names.

    Raises:
        ModelError: when the index is not one, or names files outside the folder.

    """
    if (folder / ONE).is_file():
        return [folder / ONE]
    try:
        names = {*json.loads((folder / INDEX).read_text(encoding="utf-8"))["weight_map"].values()}
    except (OSError, ValueError, RecursionError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(
            f"expected an object 'weight_map' in {str(folder / INDEX)!r}, could not read it: "
            f"{type(error).__name__}"
        ) from error
    for name in names:
        if not isinstance(name, str) or Path(name).name != name or "\\" in name:
            raise ModelError(
                f"expected names of files of its folder in {str(folder / INDEX)!r}, "
                f"found {name!r:.80}"
            )
    return [folder / name for name in sorted(names)]


def check_sizes(folder: Path, config: Mapping[str, Any]) -> None:
    """Refuse a configuration that asks for far more weights than there are.

    Models are built from the configuration before weights are compared: one that names a million
    layers or a thousand million labels would take minutes, or all memory.

    Raises:
        ModelError: naming the size.

    """
    sizes = [path.stat().st_size for path in weight_files(folder) if path.is_file()]
    most = max(_HARMLESS, _PER_BYTE * sum(sizes))
    widths = [config[name] for name in _WIDTHS if _is_size(config.get(name))]
    width = min(widths, default=1)
    for name, value, limit in _wanted(config):
        if value > min(limit, most // max(1, width)):
            raise ModelError(
                f"expected a config.json in {str(folder)!r} that fits its weights, "
                f"found {name} = {value}"
            )


def _wanted(config: Mapping[str, Any]) -> Iterator[tuple[str, int, int]]:
    """Yield each size with its name, and what it is at most in any model."""
    rotary = any("rope" in name or "rotary" in name for name in config)
    rows = _ROWS if rotary else (*_ROWS, "max_position_embeddings")
    for name in (*_WIDTHS, *_LAYERS, *rows):
        value = config.get(name)
        if value is None or isinstance(value, list):  # of each layer, in a few families
            continue
        if not _is_size(value):
            raise ModelError(
                f"expected a whole number as {name} in config.json, found {value!r:.80}"
            )
        yield name, value, _MOST.get(name, _MOST_LAYERS if name in _LAYERS else 10**9)


def _is_size(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
