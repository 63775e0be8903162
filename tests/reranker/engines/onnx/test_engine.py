"""Models of known families in ONNX Runtime: the logits of torch, without torch."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest

from twopass.reranker.architectures import architecture_of
from twopass.reranker.contract.errors import ModelError
from twopass.reranker.engines.hardware import cores, weight_bits
from twopass.reranker.engines.onnx.engine import Session
from twopass.reranker.engines.onnx.graph import Graph
from twopass.reranker.engines.onnx.products import Fp32, Int8, quantised
from twopass.reranker.engines.onnx.row_graph import build_row_graph
from twopass.reranker.files.model_folder import ModelFolder
from twopass.reranker.files.weights import Weights
from twopass.reranker.scorers.cross_encoder import CrossEncoder

KINDS = ["bert", "electra", "distilbert", "roberta", "xlm-roberta", "camembert"]


@pytest.fixture(scope="module")
def pairs(texts) -> list[tuple[str, str]]:
    documents = [*texts, "", "river", "a b c [SEP] <mask> <pad> d", " ".join(texts)]
    return [(query, document) for query in ("what is berlin", "") for document in documents]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("labels", [1, 3])
def test_gives_the_logits_of_torch(tiny, pairs, kind, labels):
    ours = CrossEncoder(tiny(kind, labels), engine="onnx").logits(pairs)
    theirs = CrossEncoder(tiny(kind, labels), device="cpu", engine="torch").logits(pairs)
    assert np.ptp(theirs.values) > 0.1
    np.testing.assert_allclose(ours.values, theirs.values, atol=1e-5, rtol=1e-5)


def test_helping_threads_change_nothing(tiny, pairs, monkeypatch):
    alone = CrossEncoder(tiny("bert"), engine="onnx").predict(pairs * 3)
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    np.testing.assert_array_equal(CrossEncoder(tiny("bert")).predict(pairs * 3), alone)


def test_weights_in_several_files_and_in_half_precision(tiny, pairs, tmp_path):
    from safetensors.numpy import load_file, save_file

    folder = shutil.copytree(tiny("bert"), tmp_path / "model")
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    half = {name: values.astype(np.float16) for name, values in weights.items()}
    parts = dict(sorted(half.items())[:10]), dict(sorted(half.items())[10:])
    for number, part in enumerate(parts):
        save_file(part, folder / f"{number}.safetensors")
    names = {name: f"{i}.safetensors" for i, part in enumerate(parts) for name in part}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": names}))
    scores = CrossEncoder(folder, engine="onnx").predict(pairs)
    np.testing.assert_allclose(scores, CrossEncoder(tiny("bert")).predict(pairs), atol=5e-3)


def test_says_what_it_does_not_take(tiny):
    with pytest.raises(ModelError, match=r"found 'modernbert'; engine='torch' takes it"):
        CrossEncoder(tiny("modernbert"), engine="onnx")
    with pytest.raises(ModelError, match=r"expected device 'cpu' .* found 'cuda'"):
        CrossEncoder(tiny("bert"), engine="onnx", device="cuda")
    with pytest.raises(ModelError, match=r"precision of fp32, int8 .* found 'bf16'"):
        CrossEncoder(tiny("bert"), engine="onnx", precision="bf16")
    with pytest.raises(ModelError, match=r"engine 'onnx' for precision 'int8', found 'packed'"):
        CrossEncoder(tiny("bert"), engine="packed", precision="int8")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_hidden_layers": 3}, r"found Bert.* without the weights bert.encoder.layer.2"),
        ({"vocab_size": 10}, "found other shapes of bert.embeddings.word_embeddings.weight"),
    ],
)
def test_weights_that_do_not_fit_are_named(tiny, tmp_path, change, message):
    folder = shutil.copytree(tiny("bert"), tmp_path / "model")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | change))
    with pytest.raises(ModelError, match=message):
        CrossEncoder(folder, engine="onnx")


@pytest.mark.parametrize(
    "change",
    [
        {"hidden_act": "gelu_new"},
        {"position_embedding_type": "relative_key"},
        {"is_decoder": True},
        {"embedding_size": 16},
        {"model_type": "deberta-v2"},
    ],
)
def test_what_is_unusual_is_left_to_torch(tiny, change):
    config = json.loads((tiny("electra") / "config.json").read_text())
    assert architecture_of(config) is not None
    assert architecture_of(config | change) is None


def test_bf16_weights_are_left_to_torch(tiny, tmp_path, pairs):
    from safetensors.torch import load_file, save_file

    folder = shutil.copytree(tiny("bert"), tmp_path / "model")
    weights = load_file(folder / "model.safetensors")
    brief = {name: values.bfloat16() for name, values in weights.items()}
    save_file(brief, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(ModelError, match="found BF16; engine='torch' takes them"):
        CrossEncoder(folder, engine="onnx")
    scores = CrossEncoder(folder, device="cpu").predict(pairs)
    np.testing.assert_allclose(scores, CrossEncoder(tiny("bert")).predict(pairs), atol=0.05)


@pytest.mark.parametrize("kind", KINDS)
def test_writes_what_onnx_reads(tiny, kind, tmp_path):
    """The bytes are checked by the format's own library, weights beside them."""
    folder = ModelFolder.read(tiny(kind))
    spec = architecture_of(folder.config)
    assert spec is not None
    with Weights(folder) as weights:
        graph = build_row_graph(spec, weights, Fp32())
    model = onnx.load_model_from_string(graph.written())
    outside = {tensor.name: tensor for tensor in model.graph.initializer if tensor.external_data}
    assert outside.keys() == graph.arrays.keys()
    for name, array in graph.arrays.items():
        assert tuple(outside[name].dims) == array.shape
        outside[name].CopyFrom(onnx.numpy_helper.from_array(array, name))
    onnx.checker.check_model(model, full_check=True)
    assert [value.name for value in model.graph.input] == ["ids", "frames"]


def test_graphs_say_numbers_texts_and_lists_as_onnx_does():
    graph = Graph()
    given = graph.input("x", "float32", ("rows", 3))
    turned = graph.add("Transpose", given, perm=[1, 0])
    scaled = graph.add("Elu", turned, alpha=-0.5)
    graph.output(graph.add("Mul", scaled, graph.constant(2.0)), (3, "rows"))
    model = onnx.load_model_from_string(graph.written())
    onnx.checker.check_model(model, full_check=True)
    assert [onnx.helper.get_attribute_value(a) for n in model.graph.node for a in n.attribute] == [
        [1, 0],
        -0.5,
    ]
    x = np.array([[1, -1, 2]], dtype=np.float32)
    expected = 2 * np.where(x > 0, x, -0.5 * np.expm1(x)).T
    np.testing.assert_allclose(Session(graph)(x=x), expected, atol=1e-6)


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_company_changes_no_bit_of_a_score(tiny, pairs, precision):
    model = CrossEncoder(tiny("bert"), engine="onnx", precision=precision)
    together = model.predict(pairs)
    assert [model.predict(pair) for pair in pairs] == together.tolist()


def test_int8_is_near_fp32(tiny, pairs):
    whole = CrossEncoder(tiny("bert", 3), engine="onnx").logits(pairs).values
    brief = CrossEncoder(tiny("bert", 3), precision="int8").logits(pairs).values
    assert (brief != whole).any()
    assert np.abs(brief - whole).max() < 0.1 * np.ptp(whole)


def test_products_of_integers_do_not_saturate_on_this_processor():
    """The largest weights and tokens everywhere: sums that 16 bits would cut."""
    limit = 2 ** (weight_bits() - 1) - 1
    weight = np.full((16, 64), limit, dtype=np.float32)
    weight[::2] *= -1
    graph = Graph()
    tokens = graph.input("tokens", "float32", ("rows", 64))
    graph.output(Int8(weight_bits())(graph, tokens, "weight", weight), ("rows", 16))
    levels = np.full((5, 64), 255, dtype=np.float32)
    np.testing.assert_array_equal(Session(graph)(tokens=levels), levels @ weight.T)


def test_weights_become_levels_of_each_row():
    weight = np.array([[1, -2, 0.5], [0, 0, 0], [-0.011, 0.02, 0.004]], dtype=np.float32)
    levels, scales = quantised(weight, 127)
    assert levels.tolist() == [[64, -127, 32], [0, 0, 0], [-70, 127, 25]]
    np.testing.assert_allclose(levels * scales[:, None], weight, atol=scales.max() / 2)


_FULL = """
import resource
from pathlib import Path
import numpy as np
from twopass.reranker.scorers.loaded_model import load_model
from twopass.reranker.text.tokens import TokenRows

engine = load_model("twopass/default", device="cpu").engine
taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
_, most = resource.getrlimit(resource.RLIMIT_AS)
resource.setrlimit(resource.RLIMIT_AS, (taken, most))
row = TokenRows(np.full(500, 2000, np.int32), np.zeros(500, np.int8), np.array([0, 500]))
try:
    engine.logits(row)
except MemoryError:
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    print("full, then", engine.logits(row).shape)
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="no size of memory to read")
def test_a_full_memory_is_a_memory_error_and_passes():
    done = subprocess.run(
        [sys.executable, "-c", _FULL],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert (done.stdout.strip(), done.stderr) == ("full, then (1, 1)", "")


def test_other_errors_stay_what_they_are():
    graph = Graph()
    tokens = graph.input("x", "float32", ("rows", 2))
    graph.output(graph.add("Reshape", tokens, graph.constant((5,))), (5,))
    with pytest.raises(Exception, match="cannot be reshaped"):
        Session(graph)(x=np.zeros((3, 2), dtype=np.float32))


def test_counts_the_cores_that_it_may_use(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert cores() == 3
    monkeypatch.setenv("OMP_NUM_THREADS", "many")
    assert cores() >= 1


def test_scores_without_torch_and_transformers(tiny):
    """A process that scores on the CPU loads neither, and only what it needs."""
    heavy = "torch", "transformers", "onnx", "huggingface_hub", "scipy", "pandas", "numba"
    code = (
        "import sys\n"
        "from twopass.reranker import CrossEncoder\n"
        "model = CrossEncoder(sys.argv[1], device='cpu')\n"
        "print(model.rank('what is berlin', ['river', 'the capital'])[0]['score'] != 0)\n"
        f"print(sorted({heavy!r} & sys.modules.keys()))"
    ).replace(f"{heavy!r}", repr(set(heavy)))
    for folder in (*map(str, map(tiny, KINDS)), "twopass/default"):
        done = subprocess.run(
            [sys.executable, "-c", code, folder], capture_output=True, text=True, check=True
        )
        assert done.stdout.split() == ["True", "[]"], folder
    assert Path(folder).parts == ("twopass", "default")
