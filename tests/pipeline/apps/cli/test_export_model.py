from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from twopass.pipeline.evaluation import open_collection
from twopass.pipeline.training.model_export import export_model
from twopass.reranker.engines.onnx.export import ExportedFile
from twopass.retriever import BM25Index, Document

from .conftest import Run, write_corpus


def written(folder: Path, texts: list[str], queries: dict[str, str]) -> Path:
    """Write a collection in which the first text answers the first query, and so on."""
    (folder / "qrels").mkdir(parents=True)
    documents = [{"_id": f"d{n}", "text": text} for n, text in enumerate(texts)]
    write_corpus(folder / "corpus.jsonl", documents)
    asked = [{"_id": name, "text": text} for name, text in queries.items()]
    write_corpus(folder / "queries.jsonl", asked)
    lines = ["query-id\tcorpus-id\tscore", *(f"{q}\td{n}\t1" for n, q in enumerate(queries))]
    (folder / "qrels" / "dev.tsv").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture
def judged(tmp_path: Path) -> Path:
    """Twelve documents that many queries find; the n-th is the relevant one of the n-th query."""
    animals = ["cat", "dog", "owl", "mouse"]
    pairs = [(a, b) for a in animals for b in animals if a != b]
    texts = [f"{a} {b} garden {'mat ' * n}" for n, (a, b) in enumerate(pairs)]
    return written(tmp_path / "judged", texts, {a: f"{a} garden" for a in animals})


@pytest.fixture
def facts(tmp_path: Path) -> Path:
    """Questions with one answer each, which every model that ships puts first of all."""
    answers = {
        "what causes anemia": "Too little iron is the usual cause of anemia.",
        "how old is Rome": "Rome was founded in 753 BC.",
        "who makes honey": "Honey is made by bees.",
        "where is Paris": "Paris is the capital of France.",
    }
    texts = [f"A fact: {text}" for text in answers.values()]
    queries = {f"q{n}": f"{query}, in fact?" for n, query in enumerate(answers)}
    return written(tmp_path / "facts", texts, queries)


def test_files_stand_beside_what_they_need(run: Run, judged: Path, model: Path) -> None:
    done = run(
        *("export-model", "--model", model, "--out", "exported", "--most", 1),
        *("--data", judged, "--depth", 10),
    )
    assert done.status == 0, done.err
    assert done.out.count("nDCG@10") == 2
    files = {str(p.relative_to("exported")) for p in Path("exported").rglob("*") if p.is_file()}
    assert files >= {"config.json", "tokenizer.json", "README.md"}
    assert files >= {"onnx/model.onnx", "onnx/model_int8.onnx"}
    assert not any(name.endswith((".safetensors", ".part")) for name in files)
    assert Path("exported/README.md").read_text().count("| `onnx/model_int8.onnx` | int8 |") == 1


def test_a_models_own_folder_gets_them_and_its_card_says_so_once(
    run: Run, judged: Path, model: Path
) -> None:
    own = shutil.copytree(model, "own")
    (Path(own) / "README.md").write_text("# My model\n")
    arguments = ("export-model", "--model", own, "--out", own, "--data", judged, "--most", 1)
    assert run(*arguments, "--precision", "fp32").status == 0
    again = run(*arguments, "--precision", "fp32")
    assert (again.status, again.err.count("\n")) == (2, 1)
    assert "model.onnx exists already" in again.err
    assert run(*arguments, "--precision", "fp32", "--overwrite").status == 0
    card = (Path(own) / "README.md").read_text()
    assert card.startswith("# My model\n")
    assert card.count("## ONNX") == 1


def test_a_file_that_ranks_worse_is_refused_with_the_figures_and_nothing_is_left(
    run: Run, judged: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Layers that lose nearly all their levels rank otherwise: the real gate on a real loss."""

    from twopass.reranker.engines.onnx import standard_graph

    monkeypatch.setattr(standard_graph, "INT8_BITS", 2)
    before = sorted(tmp_path.rglob("*"))
    done = run(
        *("export-model", "--model", model, "--out", "refused", "--data", judged, "--most", -2),
    )
    assert (done.status, done.err.count("\n")) == (2, 1)
    assert "nothing was written" in done.err
    assert "fp32: nDCG@10 0." in done.err
    assert "int8: nDCG@10 0." in done.err
    assert sorted(tmp_path.rglob("*")) == before


def test_one_file_that_fails_keeps_back_the_others(
    facts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from twopass.pipeline.errors import ExportError

    collection = open_collection(str(facts), "dev")
    index = BM25Index.build(Document(d.id, d.text) for d in collection.documents())
    right = ExportedFile.predict

    def spoilt(self: ExportedFile, pairs: list[tuple[str, str]]) -> np.ndarray:
        """Rank backwards by the int8 file alone."""
        scores = right(self, pairs)
        return -scores if b".int8" in self.graph else scores

    monkeypatch.setattr(ExportedFile, "predict", spoilt)
    with pytest.raises(ExportError, match=r"at most 0\.002, found int8: .*\(--precision fp32\)"):
        export_model("twopass/default", tmp_path / "out", ("fp32", "int8"), collection, index)
    assert not (tmp_path / "out").exists()


def test_says_what_does_not_go_together(run: Run) -> None:
    done = run("export-model", "--out", "x", "--split", "dev")
    assert (done.status, "--data" in done.err) == (2, True)
    assert not Path("x").exists()
