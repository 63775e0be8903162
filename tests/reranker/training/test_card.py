"""The card, read back as the hub reads it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from huggingface_hub import ModelCard

from twopass.reranker.training import (
    LOSSES,
    Card,
    EvaluationTable,
    Example,
    ListSoftmax,
    Recipe,
    RecipeError,
    TrainingResult,
)
from twopass.reranker.training.card import DataFacts
from twopass.reranker.training.emissions import Emissions, measured
from twopass.reranker.training.plot import plot_log

EXAMPLES = [Example("what | is it", ("a thing", "no thing at all"), (1, 0), (2.5, -1))] * 4
LOG = [
    {"step": 1, "epoch": 0.5, "loss": 0.9, "rate": 1.0, "seconds": 1.0},
    {"step": 2, "epoch": 1.0, "loss": 0.7, "rate": 0.5, "seconds": 2.0},
    {"step": 2, "nDCG@10": 0.8},
]
SYSTEMS = {
    "BM25": {"nDCG@10": 0.7, "MAP": 0.6, "MRR@10": 0.65},
    "cross-encoder": {"nDCG@10": 0.75, "MAP": 0.55, "MRR@10": 0.65},
}
CARD = Card(
    name="me/mine",
    base_model="them/theirs",
    recipe=Recipe(loss="softmax", seed=4),
    result=TrainingResult(2, 16, 2.0, 2, LOG),
    data=[DataFacts.of("towns/train", EXAMPLES, licence="CC BY 4.0")],
    tables=[EvaluationTable("towns/dev", 10, 100, SYSTEMS)],
    emissions=Emissions(0.002, 0.0001, 120.0, "FRA", "A processor", "", 16.0, "3.3"),
    licence="apache-2.0",
    example=EXAMPLES[0],
)


def test_the_hub_reads_the_metadata():
    data = ModelCard(CARD.markdown()).data
    assert (data.pipeline_tag, data.base_model, data.license) == (
        *("text-ranking", "them/theirs", "apache-2.0"),
    )
    assert data.model_name == "me/mine"
    results = {(r.dataset_name, r.metric_type): r.metric_value for r in data.eval_results}
    assert results["towns/dev, BM25's top 100", "ndcg_at_10"] == 0.75
    assert data.to_dict()["co2_eq_emissions"]["emissions"] == pytest.approx(0.1)
    assert data.to_dict()["widget"] == [
        {"source_sentence": "what | is it", "sentences": ["a thing", "no thing at all"]}
    ]


@pytest.mark.parametrize(
    "line",
    [
        "| cross-encoder | 0.7500 (+0.0500) | 0.5500 (-0.0500) | 0.6500 (+0.0000) |",
        "| towns/train | training | 4 | 8 | 50.0% | 4 / 3 | CC BY 4.0 |",
        "| what \\| is it | a thing | 1 | 2.5 |",
        "| 1.000 | 2 | 0.7000 | 0.8000 |",
        "| `seed` | `4` |",
        "### Loss: ListSoftmax",
        "    -Σ_i p_i log softmax(s / T)_i,   p_i = y_i / Σ_j y_j",
    ],
)
def test_the_tables_say_what_was(line):
    assert line in CARD.markdown().splitlines()


def test_each_loss_is_cited_and_one_without_a_source_is_not(monkeypatch):
    for name in LOSSES:
        card = replace(CARD, recipe=Recipe(loss=name)).markdown()
        assert f"## Citation\n\nThe loss: {LOSSES[name].citation}" in card
        assert LOSSES[name].citation

    class Nameless(ListSoftmax):
        citation = ""

    monkeypatch.setitem(LOSSES, "nameless", Nameless)
    assert "## Citation" not in replace(CARD, recipe=Recipe(loss="nameless")).markdown()


def test_no_markup_of_docstrings_is_left():
    assert not {":", "::", "Args:"} & set(CARD.markdown().splitlines())


def test_the_code_of_the_card_is_code():
    code = CARD.markdown().partition("```python\n")[2].partition("```")[0]
    compile(code, "card", "exec")


def test_a_plot_has_both_courses(tmp_path):
    plot_log(LOG, tmp_path / "plot.svg", baselines={"nDCG@10": 0.7})
    assert (tmp_path / "plot.svg").read_text().count('<g id="axes_') == 2


def test_nothing_is_measured_unasked():
    with measured(None) as held:
        pass
    assert held.emissions is None


def test_an_unknown_country():
    with pytest.raises(RecipeError, match="ISO code of three letters"), measured("Nowhere"):
        pass
