"""Bulk analysis gives the same terms as one text at a time."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twopass.retriever.analysis import Encoder, available_analyzers, get_analyzer
from twopass.retriever.analysis.analyzer import TermEncoder

# Characters of every class that the rules tell apart, and then anything at all.
JOINTS = "aZé1٣_'\".,:;·’א״ב日ひカ한각ไ€😀🏽🇩🇪\u200d\ufe0f\u0301\u00ad\u20e3#*\ud800\U00010400 \n"
texts = st.lists(st.text(st.sampled_from(JOINTS) | st.characters(), max_size=60), max_size=8)


def decoded(encoder: Encoder, given: Sequence[str]) -> list[list[str]]:
    ids, offsets = encoder.encode(given)
    assert (ids.dtype, offsets.dtype) == (np.int32, np.int64)
    assert len(offsets) == len(given) + 1
    assert (offsets[0], offsets[-1]) == (0, len(ids))
    rows = [ids[start:stop] for start, stop in pairwise(offsets)]
    return [[encoder.vocabulary[id] for id in row] for row in rows]


@pytest.mark.parametrize("name", ["standard", "english", "whitespace", "simple", "turkish"])
@given(given=texts)
@settings(max_examples=150, deadline=None)
def test_bulk_is_one_by_one(name: str, given: list[str]) -> None:
    analyzer = get_analyzer(name)
    assert decoded(analyzer.encoder(), given) == [analyzer.terms(text) for text in given]


@pytest.mark.parametrize("name", available_analyzers())
def test_ids_come_in_the_order_of_first_use(name: str) -> None:
    given = ["The cats sat", "", "on the mats", "cats 日本 sat"]
    encoder, plain = get_analyzer(name).encoder(), TermEncoder(get_analyzer(name).terms)
    for half in (given[:2], given[2:]):  # an encoder goes on where it was
        ids, offsets = encoder.encode(half)
        expected_ids, expected_offsets = plain.encode(half)
        assert ids.tolist() == expected_ids.tolist()
        assert offsets.tolist() == expected_offsets.tolist()
    assert list(encoder.vocabulary) == list(plain.vocabulary)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_threads_and_growth_change_nothing(threads: int) -> None:
    rng = np.random.default_rng(0)
    words = [f"word{n}" for n in range(40_000)]  # the table grows several times
    given = [" ".join(rng.choice(words, 300)) for _ in range(400)]
    encoder = get_analyzer("english").encoder(threads=threads)
    analyzer = get_analyzer("english")
    for batch in (given[:1], given, []):
        found = decoded(encoder, batch)
        assert found[:20] == [analyzer.terms(text) for text in batch[:20]]
        assert [len(row) for row in found] == [300] * len(batch)
    again = get_analyzer("english").encoder(threads=threads)
    for batch in (given[:1], given):
        ids, _ = again.encode(batch)
    assert ids.tolist() == encoder.encode(given)[0].tolist()  # whichever thread is quicker


def test_very_long_words_are_cut() -> None:
    given = ["x" * 1000, "1," * 300 + "1", "\U00010400" * 300, "y" * 254 + "\U00010400z"]
    analyzer = get_analyzer("standard")
    found = decoded(analyzer.encoder(), given)
    assert found == [analyzer.terms(text) for text in given]
    assert [len(word) for word in found[0]] == [255, 255, 255, 235]
    assert [len(word) for word in found[2]] == [127, 127, 46]
