"""The same scores as ranx, an independent implementation, where both follow one definition."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from twopass.pipeline.fusion import fusion

pytestmark = pytest.mark.skipif(find_spec("ranx") is None, reason="ranx is not installed")

# (ours, its parameters, ranx's name, its parameters, ranx's normalisation)
PAIRS = [
    ("rrf", {}, "rrf", {"k": 60}, None),
    ("rrf", {"k": 7}, "rrf", {"k": 7}, None),
    ("isr", {}, "isr", {}, None),
    ("log-isr", {}, "log_isr", {}, None),
    ("logn-isr", {}, "logn_isr", {"sigma": 0.01}, None),
    ("rbc", {"phi": 0.8}, "rbc", {"phi": 0.8}, None),
    ("borda", {}, "bordafuse", {}, None),
    ("comb-sum", {}, "sum", {}, "min-max"),
    ("comb-sum", {"normalizer": "max"}, "sum", {}, "max"),
    ("comb-sum", {"normalizer": "sum"}, "sum", {}, "sum"),
    ("comb-sum", {"normalizer": "z-score"}, "sum", {}, "zmuv"),
    ("comb-sum", {"normalizer": "rank"}, "sum", {}, "rank"),
    ("comb-sum", {"normalizer": "borda"}, "sum", {}, "borda"),
    ("comb-max", {}, "max", {}, "min-max"),
    ("comb-min", {}, "min", {}, "min-max"),
    ("comb-med", {}, "med", {}, "min-max"),
    ("comb-anz", {}, "anz", {}, "min-max"),
    ("comb-mnz", {}, "mnz", {}, "min-max"),
    ("comb-gmnz", {"gamma": 1.5}, "gmnz", {"gamma": 1.5}, "min-max"),
    (
        "weighted",
        {"weights": [0.2, 0.3, 0.5], "missing": "zero"},
        "wsum",
        {"weights": [0.2, 0.3, 0.5]},
        "min-max",
    ),
]


def columns(seed: int, n: int = 25) -> NDArray[np.float32]:
    """Draw three columns without ties; each document is in at least one."""
    generator = np.random.default_rng(seed)
    scores = np.stack([generator.permutation(n) for _ in range(3)]) + generator.random((3, n))
    scores = scores.astype(np.float32)
    absent = generator.random((3, n)) < 0.4
    absent[0, absent.all(axis=0)] = False
    scores[absent] = np.nan
    return scores


# ranx compiles its kernels at every first use; in a process of its own it need not.
JUDGE = """
import json, sys
import ranx

def fuse(columns, method, parameters, norm):
    names = [f"d{j}" for j in range(len(columns[0]))]
    runs = [
        ranx.Run({"q": {d: s for d, s in zip(names, column) if s is not None}})
        for column in columns
    ]
    run = ranx.fuse(runs=runs, norm=norm, method=method, params=parameters)
    return [float(run.run["q"][d]) for d in names]

json.dump([fuse(*case) for case in json.load(sys.stdin)], sys.stdout)
"""


def fused_by_ranx(
    cases: list[tuple[NDArray[np.float32], str, dict[str, Any], str | None]],
) -> list[NDArray[np.float64]]:
    plain = [
        ([[None if np.isnan(s) else float(s) for s in column] for column in scores], *rest)
        for scores, *rest in cases
    ]
    judge = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", JUDGE],
        input=json.dumps(plain),
        env={**os.environ, "NUMBA_DISABLE_JIT": "1"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return [np.array(fused) for fused in json.loads(judge.stdout)]


def majorities() -> NDArray[np.float32]:
    """Build three columns whose majorities form one order: two swaps, with two votes of three."""
    scores = np.tile(np.arange(12, 0, -1, dtype=np.float32), (3, 1))
    for column, (one, two) in [(0, (2, 3)), (1, (7, 8)), (2, (2, 3)), (2, (7, 8))]:
        scores[column, [one, two]] = scores[column, [two, one]]
    return scores


def test_scores_equal_those_of_ranx() -> None:
    drawn = [(pair, columns(seed)) for pair in PAIRS for seed in range(5)]
    cases = [(scores, method, theirs, norm) for (_, _, method, theirs, norm), scores in drawn]
    *judged, places = fused_by_ranx([*cases, (majorities(), "condorcet", {}, None)])
    for ((name, ours, *_), scores), expected in zip(drawn, judged, strict=True):
        np.testing.assert_allclose(
            fusion(name, **ours)(scores), expected, rtol=1e-5, atol=1e-6, err_msg=f"{name} {ours}"
        )
    order = np.argsort(-fusion("condorcet")(majorities()), kind="stable")
    np.testing.assert_array_equal(order, np.argsort(-places, kind="stable"))
    assert not np.array_equal(order, np.arange(12))
