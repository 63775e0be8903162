"""Memory is bounded by the budget, whatever is asked at one time."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

_PROGRAM = """
import sys
from pathlib import Path
from twopass.reranker import CrossEncoder

def peak():  # not getrusage's: a process inherits its parent's there
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))

model = CrossEncoder(sys.argv[1], device="cpu", engine=sys.argv[2])
texts = ["river " * 600 + str(i) for i in range(300)]
model.predict([("museum", text) for text in texts[:1]])
before = peak()
logits = model.logits([("museum", f"{i} " + text) for i, text in enumerate(texts)])
assert logits.truncated.all()
print((peak() - before) / 1024)
"""
_HIDDEN = 128


@pytest.fixture(scope="module")
def folder(tiny, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of two layers that reads 512 tokens."""
    from transformers import BertConfig, BertForSequenceClassification

    folder = tmp_path_factory.mktemp("long")
    config = BertConfig(
        vocab_size=300,
        hidden_size=_HIDDEN,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=4 * _HIDDEN,
        num_labels=1,
    )
    BertForSequenceClassification(config).save_pretrained(folder)
    shutil.copy(tiny("bert") / "tokenizer.json", folder)
    settings = json.loads((tiny("bert") / "tokenizer_config.json").read_text())
    settings["model_max_length"] = 512
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return folder


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no peak of memory to read")
@pytest.mark.parametrize("engine", ["onnx", "packed"])
def test_300_documents_of_512_tokens_take_no_more_than_a_batch(folder, engine):
    """In one batch, the values between two products alone would take 300 MB."""
    at_once = 300 * 512 * 4 * _HIDDEN * 4 / 2**20
    assert at_once == 300
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, str(folder), engine], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < at_once / 3
