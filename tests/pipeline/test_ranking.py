from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from twopass.pipeline.ranking import Ranking, RerankStatus, Timings

NAN = np.nan


def ranking(**changes: Any) -> Ranking:
    columns: dict[str, Any] = {
        "ids": np.array(["b", "a", "c"], dtype=object),
        "texts": np.array(["bee", "ay", "sea"], dtype=object),
        "retrieval": np.float32([2, 3, 1]),
        "rerank": np.float32([0.75, 0.5, NAN]),
        "fused": np.float32([0.75, 0.5, NAN]),
        "retrieval_ranks": np.int32([2, 1, 3]),
        "rerank_ranks": np.int32([1, 2, 0]),
        "status": RerankStatus("complete", 2, 2),
        "timings": Timings(0.25, 0.5, 0.125),
    }
    return Ranking(**columns | changes)


def test_hits_as_plain_values() -> None:
    first, _, last = ranking().to_dicts()
    assert first == {
        "rank": 1,
        "id": "b",
        "text": "bee",
        "retrieval": 2.0,
        "rerank": 0.75,
        "fused": 0.75,
        "retrieval_rank": 2,
        "rerank_rank": 1,
    }
    assert (last["rank"], last["rerank"], last["rerank_rank"], last["fused"]) == (3, *[None] * 3)
    assert json.loads(json.dumps(ranking().to_dicts(), allow_nan=False)) == ranking().to_dicts()
    assert len(ranking()) == 3
    assert ranking().timings.total == 0.875


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"texts": np.array(["bee"], dtype=object)}, "expected texts of shape"),
        ({"fused": np.float64([3, 2, 1])}, "expected fused of shape .* dtype float32"),
        ({"ids": np.array(["b", "b", "c"], dtype=object)}, "unique ids"),
        ({"retrieval": np.float32([2, 3, NAN])}, "finite scores"),
        ({"fused": np.float32([np.inf, 2, 1])}, "finite scores"),
        ({"rerank_ranks": np.int32([1, 2, 3])}, "rerank rank 0 exactly where"),
        ({"fused": np.float32([1, 2, NAN])}, "non-increasing"),
        ({"fused": np.float32([1, NAN, 0.5])}, "non-increasing order, NaN last"),
    ],
)
def test_columns_that_break_a_promise(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ranking(**changes)


@pytest.mark.parametrize(
    "status",
    [
        ("complete", 1, 2, ""),
        ("complete", 0, 0, ""),
        ("partial", 2, 2, "late"),
        ("skipped", 1, 2, "off"),
        ("failed", 0, 0, "broken"),
        ("failed", 0, 2, ""),
        ("done", 2, 2, ""),
    ],
)
def test_status_that_contradicts_itself(status: tuple[Any, ...]) -> None:
    with pytest.raises(ValueError, match=r"scored does not fit|expected a reason"):
        RerankStatus(*status)


def test_status_by_outcome() -> None:
    partial = RerankStatus("partial", 1, 2, "out of time")
    assert replace(partial, scored=0, outcome="failed").candidates == 2
    assert RerankStatus("skipped", 0, 0, "no candidates").scored == 0
