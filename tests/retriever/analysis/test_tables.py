"""The tables that ship are those that the generator writes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import twopass.retriever.analysis.tokenizer as shipped
from twopass.retriever.analysis.generation import arrays


@pytest.mark.slow
def test_the_generator_writes_what_ships() -> None:
    regex = pytest.importorskip("regex")
    with np.load(Path(shipped.__file__).with_name("tables.npz")) as stored:
        if stored["made_with"][0] != regex.__version__:
            pytest.skip(f"made with regex {stored['made_with'][0]}, here is {regex.__version__}")
        made = arrays()
        assert made.keys() == set(stored.files)
        for name in stored.files:
            np.testing.assert_array_equal(made[name], stored[name], err_msg=name)


@pytest.mark.parametrize("name", ["standard", "letter", "whitespace"])
def test_automata_are_whole(name: str) -> None:
    tables = shipped.load_tables(name)
    states = len(tables.kinds)
    assert tables.classes.shape == (0x110000,)
    assert tables.classes.max() == tables.width - 1
    assert tables.steps.shape == (states * tables.width,)
    assert not tables.steps[: tables.width].any()  # from the dead state there is no way out
    assert (tables.steps % tables.width == 0).all()
    assert tables.steps.max() < states * tables.width
    ends = tables.kinds > 0
    assert ends.tolist() == [state * tables.width >= tables.accepting for state in range(states)]
