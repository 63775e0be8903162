from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twopass.retriever.errors import QueryError
from twopass.retriever.query.language import Clause, Occur, Query, parse


@pytest.mark.parametrize(
    ("text", "clauses"),
    [
        ("", []),
        (" \t\n", []),
        ("two words", [Clause("two"), Clause("words")]),
        ("+must -not", [Clause("must", Occur.REQUIRED), Clause("not", Occur.EXCLUDED)]),
        ('"new york"', [Clause("new york", quoted=True)]),
        ('-"new york"', [Clause("new york", Occur.EXCLUDED, quoted=True)]),
        ('+"new york"^2', [Clause("new york", Occur.REQUIRED, True, 2.0)]),
        ("rare^2.5 x^10", [Clause("rare", boost=2.5), Clause("x", boost=10.0)]),
        ('e-mail C++ 5" a"b', [Clause("e-mail"), Clause("C++"), Clause('5"'), Clause('a"b')]),
        (r"\+1 \"quoted x\^2 \\", [Clause("+1"), Clause('"quoted'), Clause("x^2"), Clause("\\")]),
        (r'"say \"hi\""', [Clause('say "hi"', quoted=True)]),
        ('""', [Clause("", quoted=True)]),
        ("+東京 -😀", [Clause("東京", Occur.REQUIRED), Clause("😀", Occur.EXCLUDED)]),
    ],
)
def test_clauses(text: str, clauses: list[Clause]) -> None:
    assert parse(text) == Query(tuple(clauses))
    assert parse(text, "lenient") == parse(text)


@pytest.mark.parametrize(
    ("text", "position", "expected", "found"),
    [
        ("a +", 4, "a word or a phrase", "the end"),
        ("- a", 2, "a word or a phrase", "white space"),
        ("a --b", 4, "a word or a phrase", "'-b'"),
        ("^2", 1, "a word or a phrase", "'^2'"),
        ('a +"b c', 8, "the closing quote of character 4", "the end"),
        ('"a"b', 4, "white space after the closing quote", "'b'"),
        (r'"a"\b', 4, "white space after the closing quote", r"'\\b'"),
        ("a^", 3, "a boost", "the end"),
        ("a^b", 3, "a boost", "'b'"),
        ("a^0 b", 3, "a boost", "'0'"),
        ("a^-2", 3, "a boost", "'-2'"),
        ("a^٣", 3, "a boost", "'٣'"),
        ("a^1" + "0" * 400, 3, "a boost", "'1000"),
        ("a\\", 3, "a character after the backslash", "the end"),
    ],
)
def test_mistakes(text: str, position: int, expected: str, found: str) -> None:
    with pytest.raises(QueryError) as caught:
        parse(text)
    message = str(caught.value)
    assert message.startswith(f"query, character {position}: expected {expected}")
    assert f"found {found}" in message
    assert "syntax='plain'" in message


@pytest.mark.parametrize(
    ("text", "clauses"),
    [
        ("a + b", [Clause("a"), Clause("+"), Clause("b")]),
        ('"new york +x', [Clause('"new'), Clause("york"), Clause("x", Occur.REQUIRED)]),
        ('"a"b -c', [Clause('"a"b'), Clause("c", Occur.EXCLUDED)]),
        ("a^0 +b", [Clause("a^0"), Clause("b", Occur.REQUIRED)]),
        ("end\\", [Clause("end\\")]),
    ],
)
def test_lenient_takes_mistakes_as_words(text: str, clauses: list[Clause]) -> None:
    assert parse(text, "lenient") == Query(tuple(clauses))


def test_plain_gives_no_character_a_meaning() -> None:
    assert parse('+a "b', "plain") == Query((Clause('+a "b'),))


def test_unknown_syntax() -> None:
    with pytest.raises(QueryError, match="'plain', 'query' or 'lenient', found 'lucene'"):
        parse("a", "lucene")  # type: ignore[arg-type]


@pytest.mark.parametrize("boost", [0.0, -1.0, 1e7, float("nan"), float("inf")])
def test_a_clause_refuses_an_unusable_boost(boost: float) -> None:
    with pytest.raises(QueryError, match=r"boost of .a.: expected 0\.000001 to 1000000"):
        Clause("a", boost=boost)


@given(st.text(alphabet='ab +-"^\\2.\n😀\x00'))
def test_the_lenient_syntax_takes_anything_and_agrees_where_it_is_right(text: str) -> None:
    lenient = parse(text, "lenient")
    try:
        strict = parse(text)
    except QueryError:
        return
    assert strict == lenient


@given(st.lists(st.from_regex(r"[^\s\\^+\"-][^\s\\^]*", fullmatch=True)))
def test_words_without_signs_are_words(words: list[str]) -> None:
    assert parse(" ".join(words)) == Query(tuple(Clause(word) for word in words))
