from __future__ import annotations

import zlib

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from twopass.retriever.index.arrays import MemorySink
from twopass.retriever.index.strings import StringTable, put_strings

any_text = st.text(st.characters(exclude_categories=()))  # lone surrogates included


def table(strings: list[str]) -> StringTable:
    sink = MemorySink()
    put_strings(sink, "names", strings)
    return StringTable(sink, "names")


@given(st.lists(any_text, unique=True), any_text)
def test_numbers_and_strings_find_each_other(strings: list[str], other: str) -> None:
    names = table(strings)
    assert list(names) == strings
    assert [names[i] for i in range(len(names))] == strings
    assert [names.find(string) for string in strings] == list(range(len(strings)))
    assert names.find(other) == (strings.index(other) if other in strings else -1)


def test_equal_hashes_do_no_harm() -> None:
    assert zlib.crc32(b"plumless") == zlib.crc32(b"buckeroo")
    names = table(["x", "buckeroo", "plumless"])
    assert (names.find("plumless"), names.find("buckeroo")) == (2, 1)
    assert table(["plumless"]).find("buckeroo") == -1


@given(st.lists(any_text, min_size=1), st.data())
@settings(deadline=None)  # the first example compiles
def test_many_at_once_are_those_one_by_one(strings: list[str], data: st.DataObject) -> None:
    names = table(strings)
    numbers = data.draw(st.lists(st.integers(0, len(strings) - 1)))
    assert names.take(np.array(numbers, np.int64)) == [names[number] for number in numbers]
