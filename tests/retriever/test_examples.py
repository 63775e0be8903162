"""The examples of public docstrings give what they say."""

from __future__ import annotations

import doctest
from types import ModuleType

import pytest

from twopass.retriever.corpus import documents
from twopass.retriever.index import index


@pytest.mark.parametrize("module", [documents, index])
def test_examples_give_what_they_say(module: ModuleType) -> None:
    found = doctest.testmod(module)
    assert found.attempted
    assert not found.failed
