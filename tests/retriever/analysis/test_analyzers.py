"""Terms, their places, and analysers by name."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from twopass.retriever.analysis import (
    Analyzer,
    FunctionAnalyzer,
    Token,
    available_analyzers,
    get_analyzer,
    register_analyzer,
)
from twopass.retriever.corpus.documents import Document
from twopass.retriever.errors import AnalysisError
from twopass.retriever.index.index import BM25Index


@pytest.mark.parametrize(
    ("name", "text", "terms"),
    [
        ("english", "The foxes' dens, the fox's running", ["fox", "den", "fox", "run"]),
        ("english", "technologies possibly ugly is us", ["technolog", "possibl", "ugli", "us"]),
        ("standard", "Can't 3.14 a_b 1,000", ["can't", "3.14", "a_b", "1,000"]),
        ("standard", "日本語カタカナ", ["日", "本", "語", "カタカナ"]),
        ("standard", "👍🏽🇩🇪👨‍👩‍👧 ...", ["👍🏽", "🇩🇪", "👨‍👩‍👧"]),
        ("standard", "ΣΊΣΥΦΟΣ İ", ["σίσυφοσ", "i"]),
        ("whitespace", "Don't STOP\u00a0me now", ["Don't", "STOP\u00a0me", "now"]),
        ("simple", "R2-D2 isn't", ["r", "d", "isn", "t"]),
        ("keyword", "All of it.", ["All of it."]),
        ("cjk", "日本語 ガギ ｶﾞｷﾞ 人 ＡＢc the", ["日本", "本語", "ガギ", "ガギ", "人", "abc"]),
        ("german", "Die Häuser und die Bäume", ["haus", "baum"]),
        ("turkish", "IŞIK İstanbul'da", ["ışık", "istanbul"]),
        ("french", "l’équipe qu'ils", ["équip"]),
        ("english", "", []),
        ("english", "\x00\x1f ... !?", []),
    ],
)
def test_terms(name: str, text: str, terms: list[str]) -> None:
    assert get_analyzer(name).terms(text) == terms


@pytest.mark.parametrize("name", available_analyzers())
def test_tokens_stand_where_they_say(name: str) -> None:
    text = "The Cats' toys, l'été İs 😀👍🏽 1,5 日本 \ud800 end"
    analyzer = get_analyzer(name)
    tokens = analyzer.tokens(text)
    assert [token.term for token in tokens] == analyzer.terms(text)
    assert [token.position for token in tokens] == sorted({token.position for token in tokens})
    for before, after in pairwise(tokens):
        assert before.start < after.start
        assert before.start < before.end <= after.end


def test_stop_words_leave_holes() -> None:
    tokens = get_analyzer("english").tokens("state of the art")
    assert tokens == [Token("state", 0, 5, 0), Token("art", 13, 16, 3)]


@pytest.mark.parametrize("name", available_analyzers())
def test_a_stored_spec_finds_the_analyser_again(name: str) -> None:
    analyzer = get_analyzer(name)
    assert get_analyzer(json.loads(json.dumps(analyzer.spec()))) is analyzer
    assert get_analyzer(analyzer) is analyzer


@pytest.mark.parametrize("version", [2, None, "1"])
def test_a_spec_of_another_version(version: object) -> None:
    with pytest.raises(AnalysisError, match=r"'english', here is version 1.*build the index again"):
        get_analyzer({"name": "english", "version": version})


def test_an_index_of_another_version_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    analyzer = register_analyzer("test-versions", str.split)
    BM25Index.build([Document("a", "some words")], tmp_path / "index", analyzer=analyzer)
    monkeypatch.setattr(analyzer, "version", 2)
    with pytest.raises(AnalysisError, match=r"made by version 1.*here is version 2"):
        BM25Index.open(tmp_path / "index")


def test_an_unknown_name() -> None:
    with pytest.raises(AnalysisError, match=r"'klingon'; there are .*english.*register_analyzer"):
        get_analyzer("klingon")


def test_one_of_the_users_own() -> None:
    made = register_analyzer("test-commas", lambda text: text.split(","))
    assert get_analyzer("test-commas") is made
    assert made.terms("a,b c") == ["a", "b c"]
    ids, offsets = made.encoder().encode(["a,b", "b"])
    assert (ids.tolist(), offsets.tolist()) == ([0, 1, 1], [0, 2, 3])
    with pytest.raises(AnalysisError, match="comes with the package"):
        register_analyzer("english", str.split)
    with pytest.raises(AnalysisError, match="expected an analyser called 'x'"):
        register_analyzer("x", FunctionAnalyzer("y", str.split))


def test_tokens_of_the_users_own() -> None:
    def letters(text: str) -> list[Token]:
        return [Token(letter, i, i + 1, i) for i, letter in enumerate(text)]

    analyzer: Analyzer = FunctionAnalyzer("letters", letters)
    assert analyzer.tokens("ab") == [Token("a", 0, 1, 0), Token("b", 1, 2, 1)]


def test_a_query_needs_neither_numba_nor_a_stemmer_before_its_time() -> None:
    code = (
        "import sys; from twopass.retriever.analysis import get_analyzer; "
        "get_analyzer('standard').terms('some words'); "
        "print([name for name in ('numba', 'Stemmer') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
