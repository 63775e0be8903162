"""Model folders from elsewhere: refused at load, within a second, without leaving the folder."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tiny_bert import save_tiny_bert

from twopass.reranker import CrossEncoder
from twopass.reranker.contract.errors import ModelError

WORDS = ["cat", "sat", "mat"]
PAIRS = [("cat", "the cat sat")]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = save_tiny_bert(tmp_path_factory.mktemp("tiny") / "model", WORDS)
    CrossEncoder(folder).predict(PAIRS)  # everything is imported
    CrossEncoder(folder, engine="torch").predict(PAIRS)
    return folder


@pytest.fixture
def model(saved: Path, tmp_path: Path) -> Path:
    return shutil.copytree(saved, tmp_path / "model")


def _change(path: Path, **values: Any) -> None:
    config = json.loads(path.read_text())
    path.write_text(json.dumps({**config, **values}))


def _refused(model: Path, engine: Any = "auto") -> str:
    started = time.monotonic()
    with pytest.raises(ModelError) as error:
        CrossEncoder(model, engine=engine)
    assert time.monotonic() - started < 1
    return str(error.value)


@pytest.mark.parametrize("engine", ["auto", "onnx", "torch"])
@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("num_hidden_layers", value) for value in (10**6, 10**12, -1, "x", 1.5)),
        *(("vocab_size", value) for value in (10**9, -5, {})),
        *(("hidden_size", value) for value in (10**9, "wide")),
        *(("intermediate_size", 10**10), ("max_position_embeddings", 10**9)),
        *(("type_vocab_size", 10**9), ("num_labels", 10**9)),
    ],
)
def test_sizes_that_no_weights_fill(model: Path, name: str, value: Any, engine: str) -> None:
    config = model / "config.json"
    _change(config, **{name: value}, **({"id2label": None} if name == "num_labels" else {}))
    assert name in _refused(model, engine)


@pytest.mark.parametrize("content", ["[]", "1", "null", "[" * 100_000, '{"a":' * 100_000])
def test_a_configuration_that_is_none(model: Path, content: str) -> None:
    (model / "config.json").write_text(content)
    _refused(model)


@pytest.mark.parametrize(
    "name",
    [
        *("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"),
        *("modules.json", "special_tokens_map.json"),
    ],
)
@pytest.mark.parametrize("kind", ["fifo", "zero", "outside", "null"])
def test_files_that_are_none_or_lie_elsewhere(model: Path, name: str, kind: str) -> None:
    path = model / name
    outside = shutil.copy(path, model.parent / name) if path.exists() else "/etc/passwd"
    path.unlink(missing_ok=True)
    if kind == "fifo":
        os.mkfifo(path)
    else:
        path.symlink_to({"zero": "/dev/zero", "outside": outside, "null": "/dev/null"}[kind])
    assert repr(name) in _refused(model)


@pytest.mark.parametrize("engine", ["auto", "torch"])
@pytest.mark.parametrize(
    "listed",
    [
        {"a": "../outside.safetensors"},
        {"a": "/etc/passwd"},
        {"a": "folder/model.safetensors"},
        {"a": ".."},
        {"a": 1},
        {"a": ["x"]},
        [],
        None,
    ],
)
def test_an_index_names_files_of_its_folder(model: Path, listed: Any, engine: str) -> None:
    shutil.move(model / "model.safetensors", model.parent / "outside.safetensors")
    index = {"metadata": {}, "weight_map": listed}
    (model / "model.safetensors.index.json").write_text(json.dumps(index))
    _refused(model, engine)


def _more_tokens(spec: dict[str, Any]) -> None:
    spec["model"]["vocab"]["zebra"] = 10**6


def _added_token(spec: dict[str, Any]) -> None:
    spec["added_tokens"].append({**spec["added_tokens"][0], "id": 10**6, "content": "[NEW]"})


def _template(spec: dict[str, Any]) -> None:
    cls = {"id": "[CLS]", "ids": [10**6], "tokens": ["[CLS]"]}
    sep = {"id": "[SEP]", "ids": [3], "tokens": ["[SEP]"]}
    single = [
        {"SpecialToken": {"id": "[CLS]", "type_id": 0}},
        {"Sequence": {"id": "A", "type_id": 0}},
    ]
    pair = [*single, {"Sequence": {"id": "B", "type_id": 1}}]
    tokens = {"[CLS]": cls, "[SEP]": sep}
    spec["post_processor"] = {
        "type": "TemplateProcessing",
        "single": single,
        "pair": pair,
        "special_tokens": tokens,
    }


@pytest.mark.parametrize("engine", ["onnx", "torch"])
@pytest.mark.parametrize("change", [_more_tokens, _added_token, _template])
def test_token_ids_above_the_embeddings(
    model: Path, change: Callable[[dict[str, Any]], None], engine: str
) -> None:
    spec = json.loads((model / "tokenizer.json").read_text())
    change(spec)
    (model / "tokenizer.json").write_text(json.dumps(spec))
    _refused(model, engine)


@pytest.fixture
def hub(model: Path, tmp_path: Path) -> Iterator[Path]:
    """The folder as the hub's client keeps it: links into the blobs of the same model."""
    home = tmp_path / "models--org--name"
    blobs, snapshot = home / "blobs", home / "snapshots" / "abc"
    blobs.mkdir(parents=True)
    snapshot.mkdir(parents=True)
    for number, path in enumerate(sorted(model.iterdir())):
        path.rename(blobs / str(number))
        (snapshot / path.name).symlink_to(Path("..") / ".." / "blobs" / str(number))
    return snapshot


def test_links_within_the_hubs_cache_are_followed(hub: Path, saved: Path) -> None:
    assert CrossEncoder(hub).predict(PAIRS) == CrossEncoder(saved).predict(PAIRS)
    linked = hub.parents[2] / "linked"
    linked.symlink_to(hub)  # a link to the folder is the caller's own choice
    assert CrossEncoder(linked).predict(PAIRS) == CrossEncoder(saved).predict(PAIRS)


def test_links_out_of_the_hubs_cache_are_not(hub: Path) -> None:
    other = hub.parents[2] / "models--org--other"
    other.mkdir()
    shutil.copy(hub / "config.json", other / "config.json")
    (hub / "config.json").unlink()
    (hub / "config.json").symlink_to(other / "config.json")
    assert "'config.json', which leads out" in _refused(hub)
