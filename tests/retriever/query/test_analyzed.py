from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from twopass.retriever.analysis import get_analyzer
from twopass.retriever.query.analyzed import Phrase

ENGLISH = get_analyzer("english")
WORDS = st.lists(st.sampled_from(["a", "the", "b", "c"]), max_size=12)


def phrase(text: str) -> Phrase:
    return Phrase.of(ENGLISH.tokens(text))


def test_stop_words_leave_holes() -> None:
    found = phrase("state of the art")
    assert found == Phrase(("state", "art"), (0, 3))
    assert found.starts(ENGLISH.tokens("a state in your art; state of the art")) == [1, 5]
    assert found.starts(ENGLISH.tokens("state of art")) == []


def test_occurrences_may_overlap() -> None:
    assert phrase("b b").starts(ENGLISH.tokens("b b b")) == [0, 1]
    assert [t.start for t in phrase("b b").matches(ENGLISH.tokens("b b b c b"))] == [0, 2, 4]


@given(WORDS, st.lists(st.sampled_from(["a", "the", "b", "c"]), min_size=2, max_size=4))
def test_equals_a_comparison_word_by_word(words: list[str], wanted: list[str]) -> None:
    tokens = ENGLISH.tokens(" ".join(wanted))
    if len(tokens) < 2:
        return
    # A stop word of the phrase is any word; those at its ends are no part of it.
    pattern = wanted[tokens[0].position : tokens[-1].position + 1]
    expected = [
        i
        for i in range(len(words) - len(pattern) + 1)
        if all(w in ("a", "the") or w == words[i + j] for j, w in enumerate(pattern))
    ]
    assert Phrase.of(tokens).starts(ENGLISH.tokens(" ".join(words))) == expected
