"""Models as standard ONNX files: the logits of torch, in ONNX Runtime by itself and elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from twopass.reranker.contract.errors import ModelError
from twopass.reranker.engines.onnx.export import Exporter
from twopass.reranker.scorers.cross_encoder import CrossEncoder
from twopass.reranker.telemetry import onnx_runtime

KINDS = ["bert", "electra", "distilbert", "roberta", "xlm-roberta", "camembert"]


@pytest.fixture(scope="module")
def pairs(texts) -> list[tuple[str, str]]:
    return [("what is berlin", text) for text in (*texts, "river", "", " ".join(texts))]


def written(folder: Path, precision: str = "fp32") -> tuple[bytes, Any]:
    encoder = CrossEncoder(folder, device="cpu").encoder
    file = Exporter(folder).written(precision, encoder)
    return file.graph, file


def batch(folder: Path, pairs: list[tuple[str, str]]) -> dict[str, np.ndarray]:
    """One padded batch by transformers' own tokeniser: rows of very different lengths."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    given = tokenizer(pairs, padding=True, truncation="only_second", return_tensors="np")
    assert given["attention_mask"].min() == 0
    return {name: column.astype(np.int64) for name, column in given.items()}


def of_torch(folder: Path, given: dict[str, np.ndarray]) -> np.ndarray:
    import torch
    from transformers import AutoModelForSequenceClassification

    model = AutoModelForSequenceClassification.from_pretrained(folder).float().eval()
    with torch.no_grad():
        return model(**{n: torch.from_numpy(c) for n, c in given.items()}).logits.numpy()


def run(graph: bytes, given: dict[str, np.ndarray]) -> np.ndarray:
    session = onnx_runtime().InferenceSession(graph, providers=["CPUExecutionProvider"])
    names = {each.name for each in session.get_inputs()}
    assert {"input_ids", "attention_mask"} <= names
    return session.run(["logits"], {name: c for name, c in given.items() if name in names})[0]


@pytest.mark.parametrize("labels", [1, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_a_padded_batch_has_the_logits_of_torch(tiny, pairs, kind, labels):
    folder = tiny(kind, labels)
    given = batch(folder, pairs)
    expected = of_torch(folder, given)
    assert np.ptp(expected) > 0.1
    np.testing.assert_allclose(run(written(folder)[0], given), expected, atol=1e-5, rtol=1e-5)


def test_batches_may_have_any_size(tiny, pairs):
    graph, _ = written(tiny("bert"))
    session = onnx_runtime().InferenceSession(graph, providers=["CPUExecutionProvider"])
    given = batch(tiny("bert"), pairs)
    together = session.run(None, given)[0]
    for row in range(len(pairs)):
        real = given["attention_mask"][row].astype(bool)
        alone = session.run(None, {name: column[[row]][:, real] for name, column in given.items()})
        np.testing.assert_allclose(alone[0][0], together[row], atol=1e-5)


@pytest.mark.parametrize("precision", ["fp32", "int8"])
@pytest.mark.parametrize("kind", ["bert", "distilbert", "roberta"])
def test_the_file_has_standard_operators_alone_and_a_second_runtime_reads_it(
    tiny, pairs, kind, precision
):
    from onnx.reference import ReferenceEvaluator

    graph, _ = written(tiny(kind), precision)
    model = onnx.load_model_from_string(graph)
    onnx.checker.check_model(model, full_check=True)
    assert {node.domain for node in model.graph.node} == {""}
    assert [each.domain for each in model.opset_import] == [""]
    names = [each.name for each in model.graph.input]
    given = {n: c for n, c in batch(tiny(kind), pairs).items() if n in names}
    [theirs] = ReferenceEvaluator(model).run(None, given)
    # integers are rounded where a runtime's last bit decides
    np.testing.assert_allclose(run(graph, given), theirs, atol=1e-5 if precision == "fp32" else 0.1)


def test_int8_is_near_fp32_and_much_smaller(tiny, pairs):
    folder = tiny("bert", 3)
    given = batch(folder, pairs)
    whole, brief = (run(written(folder, p)[0], given) for p in ("fp32", "int8"))
    assert (brief != whole).any()
    assert np.abs(brief - whole).max() < 0.1 * np.ptp(whole)
    kinds = {
        array.data_type
        for array in onnx.load_model_from_string(written(folder, "int8")[0]).graph.initializer
        if "layer" in array.name and array.name.endswith(".int8")
    }
    assert kinds == {onnx.TensorProto.INT8}


def test_weights_stay_as_small_as_they_are_stored():
    graph, file = written(Path(Exporter("twopass/default").folder))
    stored = (Exporter("twopass/default").folder / "model.safetensors").stat().st_size
    assert len(graph) < 1.02 * stored
    pairs = [("what causes anemia", "Too little iron."), ("who", "A long story. " * 30)]
    model = CrossEncoder("twopass/default", device="cpu", activation_fn=lambda logits: logits)
    np.testing.assert_allclose(file.predict(pairs), model.predict(pairs), atol=1e-4)


def test_other_kinds_are_named_with_what_exports_them(tiny):
    with pytest.raises(ModelError, match=r"found 'modernbert'; optimum exports it"):
        Exporter(tiny("modernbert"))
