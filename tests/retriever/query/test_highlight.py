from __future__ import annotations

import re
from html import unescape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twopass.retriever.analysis import FunctionAnalyzer, get_analyzer
from twopass.retriever.query.analyzed import Phrase
from twopass.retriever.query.highlight import highlight, spans

ENGLISH = get_analyzer("english")
STANDARD = get_analyzer("standard")
WORDS = ["run", "running", "Dog's", "the", "of", "cat", "東京", "京都", "🏃🏽‍♀️", "كتاب", "x" * 40]
TEXTS = st.lists(
    st.sampled_from([*WORDS, " ", " ", " ", ". ", "。", "\n", "\n\n", "<b>", "&", "'", "\x00"])
).map("".join)


def test_stems_mark_the_words_of_the_text() -> None:
    found = highlight("Runners were running; a run.", ENGLISH.terms("to run"), ENGLISH)
    assert found == ["Runners were <em>running</em>; a <em>run</em>."]


def test_nothing_matches() -> None:
    assert highlight("one two", ["three"], ENGLISH) == []
    assert highlight("one two", [], ENGLISH) == []
    assert highlight("", ["three"], ENGLISH) == []


def test_fragments_begin_with_sentences_and_end_with_words() -> None:
    text = "First things first. Then the cat sat down, as all of them do. And more.\nThe end."
    assert highlight(text, ["cat"], STANDARD, fragment_size=30) == [
        "Then the <em>cat</em> sat down, as all"
    ]
    assert highlight(text, ["cat"], STANDARD, fragment_size=55) == [
        "Then the <em>cat</em> sat down, as all of them do. And more."
    ]


def test_a_long_sentence_is_entered_at_a_word() -> None:
    text = "and so on, " * 50 + "until the cat came, " + "and so on, " * 50
    assert highlight(text, ["cat"], STANDARD, fragment_size=40) == [
        "so on, until the <em>cat</em> came, and so on,"
    ]


def test_more_distinct_terms_win_and_weights_decide() -> None:
    text = "A cat. " * 3 + "x " * 40 + "A cat and a dog. " + "y " * 40 + "! One axolotl."
    terms = ["cat", "dog", "axolotl"]
    best = {"number_of_fragments": 1, "fragment_size": 20}
    assert highlight(text, terms, STANDARD, **best) == ["<em>cat</em> and a <em>dog</em>."]
    assert highlight(text, terms, STANDARD, **best, weights={"axolotl": 9.0}) == [
        "One <em>axolotl</em>."
    ]


def test_a_phrase_is_marked_only_where_its_words_stand_together() -> None:
    text = "York is new. New York, in the state of the art of New York."
    phrase = Phrase.of(STANDARD.tokens("new york"))
    assert [text[a:b] for a, b in spans(text, [phrase], STANDARD)] == ["New", "York"] * 2
    holes = Phrase.of(ENGLISH.tokens("state of the art"))
    assert [text[a:b] for a, b in spans(text, [holes], ENGLISH)] == ["state", "art"]
    assert spans("state art", [holes], ENGLISH) == []


def test_chinese_is_cut_between_words_and_touching_marks_are_one() -> None:
    text = "今天天气很好。" * 9 + "東京都庁は東京にあります" + "今天天气很好" * 9
    found = highlight(text, STANDARD.terms("東京"), STANDARD, fragment_size=14)
    assert found == ["<em>東京</em>都庁は<em>東京</em>にあります今天"]


def test_html_escapes_the_text_and_not_the_marks() -> None:
    found = highlight("<i>cats</i> & 'dogs'", ["cats", "dogs"], STANDARD, pre="<b>", html=True)
    assert found == ["&lt;i&gt;<b>cats</em>&lt;/i&gt; &amp; &#x27;<b>dogs</em>&#x27;"]


def test_right_to_left_and_surrogates_keep_their_places() -> None:
    text = "\ud800 هذا كتاب جديد 😀 \ud83d"
    (span,) = spans(text, ["كتاب"], STANDARD)
    assert text[slice(*span)] == "كتاب"
    assert highlight(text, ["كتاب"], STANDARD)[0].startswith("\ud800 هذا <em>كتاب</em> ")


def test_terms_without_places_are_not_marked() -> None:
    nowhere = FunctionAnalyzer("split", str.split)
    assert spans("a b", ["a"], nowhere) == []


@pytest.mark.parametrize("sizes", [(0, 1), (1, 0)])
def test_numbers_below_one_are_refused(sizes: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="of at least 1, found"):
        highlight("a", ["a"], STANDARD, fragment_size=sizes[0], number_of_fragments=sizes[1])


@given(
    TEXTS,
    st.sets(st.sampled_from(WORDS)),
    st.sampled_from(["english", "standard", "whitespace"]),
    st.integers(1, 60),
    st.integers(1, 4),
)
def test_fragments_are_parts_of_the_text_and_marks_are_its_matches(
    text: str, words: set[str], name: str, size: int, number: int
) -> None:
    analyzer = get_analyzer(name)
    terms = set(analyzer.terms(" ".join(words)))
    # Marks that no generated text contains.
    found = highlight(
        text,
        terms,
        analyzer,
        fragment_size=size,
        number_of_fragments=number,
        pre="\ue000",
        post="\ue001",
        html=True,
    )
    matching = [token for token in analyzer.tokens(text) if token.term in terms]
    assert bool(found) == bool(matching)
    assert len(found) <= number
    position = 0
    for fragment in map(unescape, found):
        plain = re.sub("[\ue000\ue001]", "", fragment)
        position = text.index(plain, position) + len(plain)
        assert len(plain) <= max([size, *(t.end - t.start for t in matching)])
        marked = re.findall("\ue000([^\ue001]*)\ue001", fragment)
        assert marked
        assert all(terms & set(analyzer.terms(part)) for part in marked)
    union = {i for token in matching for i in range(token.start, token.end)}
    assert {i for span in spans(text, terms, analyzer) for i in range(*span)} == union
