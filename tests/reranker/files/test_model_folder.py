"""Models from folders and from the hub: what loads, and what is refused in one line."""

from __future__ import annotations

import json
import logging
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from twopass.reranker.contract.errors import InputError, ModelError
from twopass.reranker.files.model_folder import locate_model
from twopass.reranker.scorers.cross_encoder import CrossEncoder

PAIRS = [("what is berlin", "the capital of germany"), ("museum", "far away")]

Change = Callable[..., Path]


@pytest.fixture
def copy(tiny, tmp_path) -> Change:
    """Copy a tiny model, with changes to its JSON files."""

    def make(kind: str = "bert", labels: int = 1, **changes: dict[str, Any]) -> Path:
        folder = shutil.copytree(tiny(kind, labels), tmp_path / "model")
        for name, fields in changes.items():
            file = folder / f"{name}.json"
            old = json.loads(file.read_text()) if file.exists() else {}
            file.write_text(json.dumps(old | fields))
        return folder

    return make


def refused(source: Any, **options: Any) -> str:
    """Return the message with which a model is refused; it is one line."""
    with pytest.raises(ModelError) as caught:
        CrossEncoder(source, device="cpu", **options)
    message = str(caught.value)
    assert "\n" not in message
    return message


def load_weights(folder: Path) -> Any:
    from safetensors.torch import load_file

    return load_file(folder / "model.safetensors")


def save_weights(folder: Path, weights: Any) -> None:
    from safetensors.torch import save_file

    save_file(weights, folder / "model.safetensors", {"format": "pt"})


CROSS_ENCODER = {"model_type": "CrossEncoder", "activation_fn": "torch.nn.modules.linear.Identity"}


@pytest.mark.parametrize(
    "changes",
    [
        {"config_sentence_transformers": CROSS_ENCODER},  # not heeded: no modules.json beside it
        {"config": {"sentence_transformers": {"activation_fn": "torch.nn.Identity"}}},
        {"config": {"sbert_ce_default_activation_function": "torch.nn.Tanh"}},
        {},
    ],
)
@pytest.mark.parametrize("labels", [1, 3])
def test_takes_the_activation_that_the_files_name(copy, changes, labels):
    from sentence_transformers import CrossEncoder as Original

    folder = copy("bert", labels, **changes)
    ours = CrossEncoder(folder, device="cpu").predict(PAIRS)
    theirs = Original(str(folder), device="cpu").predict(PAIRS)
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_loads_what_sentence_transformers_has_saved(tiny, tmp_path):
    import torch
    from sentence_transformers import CrossEncoder as Original

    model = Original(str(tiny("bert")), device="cpu", activation_fn=torch.nn.Tanh(), max_length=20)
    model.save_pretrained(str(tmp_path / "saved"))
    ours = CrossEncoder(tmp_path / "saved", device="cpu")
    assert ours.max_length == 20
    np.testing.assert_allclose(ours.predict(PAIRS), model.predict(PAIRS), atol=1e-5)


def test_weights_in_half_precision_are_widened(copy, tiny):
    folder = copy(config={"dtype": "float16"})
    save_weights(folder, {name: w.half() for name, w in load_weights(folder).items()})
    half, whole = CrossEncoder(folder, device="cpu"), CrossEncoder(tiny("bert"), device="cpu")
    np.testing.assert_allclose(half.predict(PAIRS), whole.predict(PAIRS), atol=5e-3)
    packed = half.logits(PAIRS).values
    padded = CrossEncoder(folder, device="cpu", engine="torch").logits(PAIRS).values
    np.testing.assert_allclose(packed, padded, atol=1e-5)  # computed in fp32 by both


def test_roberta_has_fewer_places_than_its_configuration_says(copy):
    folder = copy("roberta", tokenizer_config={"model_max_length": 10**30})
    model = CrossEncoder(folder, device="cpu")
    assert model.max_length == 64
    assert model.logits([("berlin", "the museum " * 100)]).truncated.all()


def test_loading_says_nothing_and_changes_nothing(tiny, capfd):
    from transformers.utils import logging as transformers_logging

    transformers_logging.enable_progress_bar()
    before = (transformers_logging.get_verbosity(), logging.getLogger().handlers[:])
    CrossEncoder(tiny("bert"), device="cpu").predict(PAIRS)
    assert capfd.readouterr() == ("", "")
    assert (transformers_logging.get_verbosity(), logging.getLogger().handlers[:]) == before
    assert transformers_logging.is_progress_bar_enabled()


def test_a_folder_that_is_no_model_is_refused(tmp_path):
    assert "expected a model's folder with a config.json" in refused(tmp_path)
    assert "which is neither" in refused(tmp_path / "absent")
    assert "which is neither" in refused(str(tmp_path / "absent"))
    assert "which is neither" in refused("./absent")


def test_a_pickle_is_refused_with_what_to_do(copy):
    folder = copy()
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    assert "save_pretrained() it again" in refused(folder)
    (folder / "pytorch_model.bin").unlink()
    assert "found no weights" in refused(folder)


def test_broken_files_are_refused(copy):
    folder = copy()
    (folder / "model.safetensors").write_bytes(b"not at all")
    assert "could not load it" in refused(folder)
    (folder / "config.json").write_text("{")
    assert "expected JSON in" in refused(folder)


def test_a_missing_tokenizer_is_refused(copy):
    folder = copy()
    (folder / "tokenizer.json").unlink()
    (folder / "tokenizer_config.json").unlink()
    assert "expected a tokenizer" in refused(folder)


def test_the_tokenizer_of_another_model_is_refused(copy, tiny):
    folder = copy()
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(tiny("roberta") / name, folder / name)
    assert "it belongs to another model" in refused(folder)


def test_a_tokenizer_without_padding_is_refused(copy):
    folder = copy("modernbert")
    config = json.loads((folder / "tokenizer_config.json").read_text())
    del config["pad_token"]
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    assert "set pad_token in its tokenizer_config.json" in refused(folder)


def test_a_model_without_a_head_is_refused(copy):
    folder = copy(config={"architectures": ["BertModel"]})
    weights = {n: w for n, w in load_weights(folder).items() if not n.startswith("classifier")}
    save_weights(folder, weights)
    message = refused(folder)
    assert "expected a cross-encoder" in message
    assert "found BertModel without the weights classifier.bias, classifier.weight" in message


def test_a_real_bi_encoder_is_refused(data):
    folder = data("nq-qed").parents[1] / "models" / "bge-small-en-v1.5"
    if not folder.is_dir():
        pytest.skip(f"no bi-encoder in {folder}")
    assert "expected a cross-encoder" in refused(folder)


def test_weights_of_another_shape_are_refused(copy):
    folder = copy()
    weights = load_weights(folder)
    weights["classifier.weight"] = weights["classifier.weight"].repeat(3, 1)
    save_weights(folder, weights)
    assert "found other shapes of classifier.weight" in refused(folder)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_named(copy, value):
    folder = copy()
    weights = load_weights(folder)
    weights["bert.encoder.layer.1.output.dense.weight"][3, 4] = value
    save_weights(folder, weights)
    assert "NaN or infinity in bert.encoder.layer.1.output.dense.weight" in refused(folder)


def test_a_chain_of_modules_and_a_prompt_are_refused(copy):
    prompts = {"default_prompt_name": "query", "prompts": {"query": "query: "}}
    folder = copy(config_sentence_transformers=prompts | {"model_type": "CrossEncoder"})
    (folder / "modules.json").write_text('[{"idx": 0, "path": "", "type": "a.B"}]')
    assert "the default prompt 'query: '" in refused(folder)
    modules = [{"idx": i, "path": path, "type": "a.B"} for i, path in enumerate(["", "1_Dense"])]
    (folder / "modules.json").write_text(json.dumps(modules))
    assert "found a chain of modules: a.B, a.B" in refused(folder)


@pytest.mark.parametrize("path", ["model.Activation", "os.system", "torch.nn.functional.relu"])
def test_an_activation_from_elsewhere_is_refused(copy, path):
    folder = copy(config={"sentence_transformers": {"activation_fn": path}})
    assert "torch.nn" in refused(folder)


def test_code_of_a_folder_is_not_run_unasked(copy, tmp_path):
    trace = tmp_path / "ran"
    folder = copy(
        config={
            "model_type": "own",
            "auto_map": {
                "AutoConfig": "own.OwnConfig",
                "AutoModelForSequenceClassification": "own.OwnModel",
            },
        }
    )
    (folder / "own.py").write_text(f"open({str(trace)!r}, 'w').close()\n")
    assert "could not load" in refused(folder)
    assert not trace.exists()


def test_wrong_options_are_refused(tiny):
    folder = tiny("bert")
    assert "a model of 3 labels, found 1" in refused(folder, num_labels=3)
    assert "max_length of at most 64, found 65" in refused(folder, max_length=65)
    assert "expected a precision" in refused(folder, precision="int3")
    assert "expected a model that ships" in refused("twopass/absent")
    with pytest.raises(InputError, match="expected token_budget of at least 1, found 0"):
        CrossEncoder(folder, token_budget=0)
    with pytest.raises(ModelError, match="expected a device that torch can use here"):
        CrossEncoder(folder, device="warp")


def test_an_unreachable_hub_name_says_how_to_get_the_model(monkeypatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    for options in ({}, {"local_files_only": True}):
        begun = time.perf_counter()
        with pytest.raises(ModelError, match="run 'hf download some/model', or copy") as caught:
            locate_model("some/model", cache_folder=tmp_path, **options)
        assert time.perf_counter() - begun < 10
        assert "\n" not in str(caught.value)
    with pytest.raises(ModelError, match="'cross-encoder/some-model' is neither a folder"):
        locate_model("some-model", cache_folder=tmp_path, local_files_only=True)


def test_importing_loads_nothing_heavy():
    heavy = "torch", "transformers", "tokenizers", "huggingface_hub", "rich", "tqdm"
    code = (
        "import sys, twopass.reranker, twopass.reranker.scorers.cross_encoder; "
        "import twopass.reranker.contract.scorer; "
        f"print([name for name in {heavy!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
