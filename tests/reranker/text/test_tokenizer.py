"""Tokenisers without transformers: the same as with it, or not taken."""

from __future__ import annotations

import json
import shutil
from typing import Any

import pytest

from twopass.reranker.files.model_folder import locate_model
from twopass.reranker.text.tokenizer import ModelTokenizer, PlainTokenizer


def of_transformers(folder: Any) -> ModelTokenizer:
    from transformers import AutoTokenizer

    return ModelTokenizer._of(AutoTokenizer.from_pretrained(str(folder)))


@pytest.mark.parametrize("kind", ["bert", "roberta", "xlm-roberta", "twopass/default"])
def test_is_what_transformers_reads(tiny, texts, kind):
    folder = locate_model(kind) if "/" in kind else tiny(kind)
    assert PlainTokenizer.read(folder) is not None
    plain, original = ModelTokenizer.load(folder), of_transformers(folder)
    for pair in zip(texts, reversed(texts), strict=True):
        ours, theirs = plain.backend.encode(*pair), original.backend.encode(*pair)
        assert (ours.ids, ours.type_ids) == (theirs.ids, theirs.type_ids)
    for name in ("pad_id", "pads_left", "cuts_left", "typed", "max_length"):
        assert getattr(plain, name) == getattr(original, name)


@pytest.mark.parametrize(
    "change",
    [
        {"do_lower_case": False},
        {"strip_accents": True},
        {"tokenizer_class": "OwnTokenizer"},
        {"pad_token": None},
        {"mask_token": "[UNSEEN]"},
        {"additional_special_tokens": ["[NEW]"]},
        {"auto_map": {"AutoTokenizer": ["own.Tokenizer", None]}},
    ],
)
def test_leaves_to_transformers_what_its_files_do_not_settle(tiny, tmp_path, change):
    folder = shutil.copytree(tiny("bert"), tmp_path / "model")
    file = folder / "tokenizer_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    assert PlainTokenizer.read(folder) is None


@pytest.mark.parametrize("name", ["tokenizer.json", "tokenizer_config.json"])
def test_leaves_broken_and_missing_files_to_transformers(tiny, tmp_path, name):
    folder = shutil.copytree(tiny("bert"), tmp_path / "model")
    (folder / name).write_text("{")
    assert PlainTokenizer.read(folder) is None
    (folder / name).unlink()
    assert PlainTokenizer.read(folder) is None


def test_a_padding_token_may_be_written_as_an_object(tiny, tmp_path):
    folder = shutil.copytree(tiny("bert"), tmp_path / "model")
    file = folder / "tokenizer_config.json"
    token = {"__type": "AddedToken", "content": "[PAD]", "lstrip": False}
    file.write_text(json.dumps(json.loads(file.read_text()) | {"pad_token": token}))
    assert ModelTokenizer.load(folder).pad_id == ModelTokenizer.load(tiny("bert")).pad_id
