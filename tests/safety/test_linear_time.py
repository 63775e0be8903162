"""Whatever a caller sends is read in a time that grows no faster than its size."""

from __future__ import annotations

import gc
import importlib
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from re import _constants as sre_constants  # type: ignore[attr-defined]
from re import _parser as sre_parse  # type: ignore[attr-defined]
from time import perf_counter
from typing import Any

import numpy as np
import pytest

from twopass.pipeline.apps.cli.table import Snippets, printable
from twopass.pipeline.apps.settings.serve import NeuralRescore, ProxySettings
from twopass.pipeline.apps.sidecar.proxy.exchange import target_of
from twopass.pipeline.apps.sidecar.proxy.messages import accepts_gzip, request_headers
from twopass.pipeline.apps.sidecar.proxy.obstacles import PassedOn
from twopass.pipeline.apps.sidecar.proxy.texts import (
    QueryText,
    matches,
    plain_text,
    query_text,
    text_of,
)
from twopass.pipeline.apps.sidecar.proxy.window import Search, Window, window_of
from twopass.pipeline.training.collection import _plain
from twopass.reranker.scorers.passage_windows import Windows, _sentence_starts, _word_starts, bm25
from twopass.reranker.text.template import clip
from twopass.reranker.text.tokens import TokenizedText
from twopass.retriever import BM25Index, Document
from twopass.retriever.analysis import get_analyzer
from twopass.retriever.corpus.lines import parse_object
from twopass.retriever.errors import CorpusError, QueryError
from twopass.retriever.filters import In, parse_filter
from twopass.retriever.filters import matches as document_matches
from twopass.retriever.query.analyzed import Phrase
from twopass.retriever.query.highlight import highlight
from twopass.retriever.query.language import parse

# Eight times the input may take eight times as long, and twice that where it outgrows the
# processor's caches; what is quadratic takes 64 times.
_TIMES, _MOST = 8, 28.0
_SHORT = 3e-3  # seconds: below that, other things than the input are measured
_ROUNDS = 5

HOSTILE: dict[str, Callable[[int], str]] = {
    "dots": lambda n: "." * n,
    "letters and dots": lambda n: "a." * (n // 2),
    "stops and quotes": lambda n: '."' * (n // 2),
    "lines": lambda n: "\n" * n,
    "a word and lines": lambda n: "a" + "\n" * n,
    "spaces": lambda n: " " * n,
    "NOT and spaces": lambda n: "NOT" + " " * n,
    "NOT": lambda n: "NOT " * (n // 4),
    "spaced lines": lambda n: "\n " * (n // 2),
    "stops and spaces": lambda n: ". " * (n // 2),
    "brackets": lambda n: "[" * n,
    "negated brackets": lambda n: " -(" * (n // 3),
    "negated quotes": lambda n: ' -"' * (n // 3),
    "quotes": lambda n: '"' * n,
    "spaced quotes": lambda n: '" ' * (n // 2),
    "phrases without space behind": lambda n: '"a"b ' * (n // 5),
    "escaped quotes": lambda n: '"' + '\\" ' * (n // 3),
    "backslashes": lambda n: "\\" * n,
    "escaped spaces, bad boost": lambda n: "a\\ " * (n // 3) + "^x",
    "escaped spaces, no boost": lambda n: "a\\ " * (n // 3) + "^0",
    "colons": lambda n: "a:" * (n // 2),
    "carets": lambda n: "a^" * (n // 2),
    "signs": lambda n: "+-" * (n // 2),
    "combining marks": lambda n: "e" + "\u0301\u0323" * (n // 2),
    "one long word": lambda n: "a" * n,
    "one word again and again": lambda n: "word " * (n // 5),
    "many words": lambda n: " ".join(f"w{i}" for i in range(n // 7)),
    "Chinese": lambda n: "中" * n,
    "Chinese stops": lambda n: "。" * n,
    "Korean jamo": lambda n: "ᄀ" * n,
    "half-width voiced": lambda n: "カﾞ" * (n // 2),
    "emoji and joiners": lambda n: "👩\u200d" * (n // 2),
    "digits and commas": lambda n: "1," * (n // 2),
    "apostrophes": lambda n: "a'" * (n // 2),
    "ASCII signs": lambda n: "_^{}~" * (n // 5),
}


def _characters(text: str) -> TokenizedText:
    """Take each character but spaces as a token."""
    starts = np.array([i for i, char in enumerate(text) if not char.isspace()], np.int64)
    return TokenizedText(np.zeros(len(starts), np.int32), starts, starts + 1)


def _windows(text: str) -> None:
    tokens = _characters(text)
    _sentence_starts(text, tokens)
    _word_starts(text, tokens)
    Windows(256, 64).cut(text, tokens)


class _Found:
    """A first stage whose documents are all the same."""

    def __init__(self, text: str) -> None:
        self._text = text

    def get(self, id: str) -> Document:
        return Document(id, self._text)

    def highlight(self, query: str, text: str, **options: Any) -> list[str]:
        return highlight(text, [query], get_analyzer("standard"), **options)


def _snippet(text: str) -> None:
    Snippets(_Found(text), "word").cut("1", text)  # type: ignore[arg-type]


def _lenient(text: str) -> None:
    parse(text, "lenient")


def _strict(text: str) -> None:
    with suppress(QueryError):
        parse(text, "query")


def _object(text: str) -> None:
    with suppress(CorpusError):
        parse_object('{"text": "' + text)


def _all_terms(text: str) -> None:
    """Highlight every word of a text."""
    analyzer = get_analyzer("standard")
    highlight(text, set(analyzer.terms(text)), analyzer, fragment_size=5_000)


def _fragments(text: str) -> None:
    """Ask for as many and as long fragments as there are."""
    many = {"fragment_size": 10_000, "number_of_fragments": 100_000}
    highlight(text, ["a", "word", "中中"], get_analyzer("cjk"), **many)  # type: ignore[arg-type]


def _long_phrase(text: str) -> None:
    tokens = get_analyzer("whitespace").tokens(text)
    if len(tokens) > 3:
        Phrase.of(tokens[: len(tokens) // 2]).matches(tokens)


READERS: dict[str, Callable[[str], object]] = {
    "the proxy's query strings": plain_text,
    "the proxy's queries": lambda text: query_text({"query_string": {"query": text}}),
    "the proxy's paths": target_of,
    "headers": lambda text: request_headers([("connection", text)], ProxySettings()),
    "accepted encodings": lambda text: accepts_gzip({"accept-encoding": text}),
    "patterns of fields": lambda text: matches(text, "*a*.*b"),
    "hits": lambda text: text_of({"_source": {"a": text}}, ["a"], strict=True),
    "lenient queries": _lenient,
    "strict queries": _strict,
    "windows": _windows,
    "clipping": lambda text: clip(text, len(text) // 2, re.compile(r"(?<=\w)(?= )")),
    "snippets": _snippet,
    "printable text": printable,
    "leaks": _plain,
    "lines of a corpus": _object,
    "highlights of one word": lambda text: highlight(text, ["word"], get_analyzer("english")),
    "highlights of all words": _all_terms,
    "many long fragments": _fragments,
    "phrases": _long_phrase,
    **{
        f"analysis: {name}": lambda text, name=name: get_analyzer(name).tokens(text)
        for name in ("english", "standard", "cjk", "whitespace", "german", "french", "arabic")
    },
    "bulk analysis": lambda text: get_analyzer("english").encoder().encode([text]),
}


def _seconds(read: Callable[[Any], object], given: Any) -> float:
    gc.disable()  # now and then it looks at all that other tests have left
    try:
        started = perf_counter()
        read(given)
        return perf_counter() - started
    finally:
        gc.enable()


def _is_linear(read: Callable[[Any], object], make: Callable[[int], Any], size: int) -> str:
    """Return what is wrong with the time of a larger input; nothing where it is linear.

    The best of some rounds of each is compared: other processes make some of them slow.
    """
    small, large = make(size), make(_TIMES * size)
    read(small)
    short, long = float("inf"), float("inf")
    for _ in range(_ROUNDS):
        short, long = min(short, _seconds(read, small)), min(long, _seconds(read, large))
        if long < _SHORT or long < _MOST * short:
            return ""
    return f"{short:.4f} s, and {long:.4f} s for {_TIMES} times as much"


@pytest.mark.parametrize("reader", READERS)
def test_a_text_is_read_in_linear_time(reader: str) -> None:
    for name, make in HOSTILE.items():
        wrong = _is_linear(READERS[reader], make, 4_000)
        assert not wrong, f"{name}: {wrong}"


def _should(n: int) -> dict[str, Any]:
    return {"bool": {"should": [{"match": {f"f{i}": f"w{i}"}} for i in range(n)]}}


def _patterns(n: int) -> Window | PassedOn:
    body = {"query": {"match": {"a": "b"}}, "_source": False, "fields": [f"f{i}" for i in range(n)]}
    fields = tuple(f"g{i}" for i in range(n))
    rescore = NeuralRescore(enabled=True, fields=fields, window_size=10)
    return window_of(Search("index", body, (), rescore))


def _nested(n: int) -> dict[str, Any]:
    spec: dict[str, Any] = {"exists": {"field": "a"}}
    for _ in range(n):
        spec = {"not": spec}
    return spec


def _refused_filter(spec: Any) -> None:
    with pytest.raises(QueryError):
        parse_filter(spec)


@pytest.fixture(scope="module")
def index() -> BM25Index:
    documents = [
        Document(str(i), f"text w{i} of many", metadata={"name": f"v{i}", "year": i, "x": i / 2})
        for i in range(3_000)
    ]
    found = BM25Index.build(documents)
    found.warm()
    return found


def test_queries_of_many_clauses_are_read_in_linear_time() -> None:
    assert not _is_linear(query_text, _should, 20_000)
    assert not _is_linear(_patterns, lambda n: n, 20_000)


def test_filters_are_read_in_linear_time() -> None:
    values = {"terms": lambda n: {"terms": {"a": list(range(n))}}}
    assert not _is_linear(parse_filter, values["terms"], 8_000)
    assert not _is_linear(_refused_filter, _nested, 20_000)
    many = lambda n: {"or": [{"exists": {"field": "a"}}] * n}  # noqa: E731
    assert not _is_linear(_refused_filter, many, 100_000)


@pytest.mark.parametrize("field", ["name", "year", "x"])
def test_a_filter_of_many_values_takes_linear_time(index: BM25Index, field: str) -> None:
    def make(n: int) -> In:
        return In(field, tuple(f"v{i}" if field == "name" else i for i in range(n)))

    assert not _is_linear(lambda given: index.search(["text"], 1, filter=given), make, 20_000)
    metadata = {"name": ["v"] * 20_000, "year": list(range(20_000)), "x": [0.25] * 20_000}
    assert not _is_linear(lambda given: document_matches(given, metadata), make, 20_000)


def test_passages_are_chosen_in_linear_time() -> None:
    def make(n: int) -> tuple[Any, Any, Any]:
        starts = np.arange(0, n, 100)
        ids = np.arange(n) % 30_000
        return ids, ids, np.stack((starts, starts + 150), axis=1)

    assert not _is_linear(lambda given: bm25(*given), make, 50_000)


def test_an_explanation_takes_linear_time(index: BM25Index) -> None:
    def make(n: int) -> str:
        return " ".join(f"u{i}" for i in range(n))

    assert not _is_linear(lambda query: index.explain(query, "7"), make, 128)


def test_many_phrases_are_found_in_linear_time() -> None:
    analyzer = get_analyzer("whitespace")
    tokens = analyzer.tokens("a " * 20_000)

    def make(n: int) -> list[Phrase]:
        return [Phrase.of(tokens[: 2 + i]) for i in range(n)]

    def find(phrases: list[Phrase]) -> None:
        highlight("a " * 20_000, phrases, analyzer)

    assert not _is_linear(find, make, 5)


# What has a limit says so.


def test_a_query_of_too_many_terms_is_refused(index: BM25Index) -> None:
    with pytest.raises(QueryError, match="at most 65536 different terms, found 65537"):
        index.search([" ".join(f"u{i}" for i in range(65_537))], 1)


def test_phrases_of_too_many_words_are_refused(index: BM25Index) -> None:
    query = '"' + "text many " * 512 + '"'
    assert len(index.search([query], 1, syntax="query")) == 1
    with pytest.raises(QueryError, match="at most 1024 words in phrases, found 1025"):
        index.search([query[:-1] + 'text"'], 1, syntax="query")


def test_an_explanation_of_too_many_terms_is_refused(index: BM25Index) -> None:
    with pytest.raises(QueryError, match="at most 1024 different terms and phrases, found 1025"):
        index.explain(" ".join(f"u{i}" for i in range(1_025)), "7")


def test_filters_of_too_many_values_or_parts_are_refused() -> None:
    with pytest.raises(QueryError, match="at most 65536 values, found 65537"):
        parse_filter({"terms": {"a": list(range(65_537))}})
    some = {"and": [{"exists": {"field": "a"}}] * 31}
    parse_filter({"or": [some] * 31})
    with pytest.raises(QueryError, match="at most 1024 filters in all"):
        parse_filter({"or": [some] * 32})


def test_a_text_is_highlighted_in_its_first_million_characters() -> None:
    analyzer = get_analyzer("standard")
    text = "x " * 500_000 + "word"
    assert highlight(text, ["word"], analyzer) == []
    assert highlight(text[4:], ["word"], analyzer, fragment_size=4) == ["<em>word</em>"]


def test_a_search_that_names_too_many_fields_is_passed_on() -> None:
    assert isinstance(_patterns(500), Window)
    passed = _patterns(501)
    assert isinstance(passed, PassedOn)
    assert passed.code == "fields"


def test_as_much_of_a_query_is_read_as_models_read() -> None:
    assert len(query_text(_should(100_000)).text) <= 10_000
    assert query_text({"match": {"a": "word " * 1_000_000}}).text == ("word " * 2_000).strip()
    deep: Any = {"match": {"a": "found"}}
    for _ in range(5_000):
        deep = {"bool": {"must": [deep]}}
    assert query_text(deep).text == ""
    assert query_text(
        {"bool": {"must": [{"match": {"a": "x y"}}, {"match": {"b": "z"}}]}}
    ) == QueryText("x y z", ("a", "b"))


# No pattern can be slow: what is not possessive, and unbounded, is followed by nothing.

_REPEATS = (
    sre_constants.MAX_REPEAT,
    sre_constants.MIN_REPEAT,
    sre_constants.POSSESSIVE_REPEAT,
)


def _patterns_of(value: Any) -> Iterator[re.Pattern[str]]:
    if isinstance(value, re.Pattern):
        yield value
    elif isinstance(value, (list, tuple)):
        for each in value:
            yield from _patterns_of(each)


def _modules_with_patterns() -> list[tuple[str, str]]:
    found = []
    for package in ("twopass.retriever", "twopass.reranker", "twopass.pipeline"):
        spec = find_spec(package)
        assert spec is not None
        assert spec.origin is not None
        root = Path(spec.origin).parent
        for path in sorted(root.rglob("*.py")):
            source = path.read_text("utf-8")
            if re.search(r"^\s*import (re|regex)$", source, re.MULTILINE):
                parts = [package, *path.relative_to(root).with_suffix("").parts]
                found.append((".".join(parts), source))
    return found


def _gives_back(items: Iterable[Any], *, followed: bool = False) -> bool:
    """Tell whether an unbounded repeat may give back characters to what follows it."""
    for kind, content in reversed(list(items)):
        repeats = kind in _REPEATS and content[1] is sre_constants.MAXREPEAT
        if repeats and followed and kind is not sre_constants.POSSESSIVE_REPEAT:
            return True
        # The inside of a repeat is followed by itself.
        if any(_gives_back(each, followed=followed or repeats) for each in _inside(kind, content)):
            return True
        followed = True
    return False


def _inside(kind: Any, content: Any) -> list[Any]:
    if kind in _REPEATS:
        return [content[2]]
    if kind is sre_constants.SUBPATTERN:
        return [content[3]]
    if kind is sre_constants.BRANCH:
        return list(content[1])
    return [content[1]] if kind in (sre_constants.ASSERT, sre_constants.ASSERT_NOT) else []


def test_the_rule_for_patterns_finds_the_slow_ones() -> None:
    slow = [r"[\w.]+:", r"(a+)+", r"\s+(?=\S)", r"\n\s*$", r"(?:a|b+)c", r"(?:[^\\]|\\.)*x"]
    fine = [r"[\w.]++:", r"a+", r"(?:a|b+)", r"\w{1,128}x", r"(?:a++)++b", r"[.]+|x"]
    assert all(_gives_back(sre_parse.parse(pattern)) for pattern in slow)
    assert not any(_gives_back(sre_parse.parse(pattern)) for pattern in fine)


MODULES = _modules_with_patterns()


@pytest.mark.parametrize(("name", "source"), MODULES, ids=[name for name, _ in MODULES])
def test_no_pattern_gives_characters_back(name: str, source: str) -> None:
    if name.startswith("twopass.retriever.analysis.generation"):
        return  # makes tables for the package, from files of its own
    module = importlib.import_module(name)
    found = [each for value in vars(module).values() for each in _patterns_of(value)]
    assert not [each.pattern for each in found if _gives_back(sre_parse.parse(each.pattern))]
    made = len(re.findall(r"\bre\.(?:compile|split|sub|search|match|findall)\(", source))
    assert made <= len(found) + DYNAMIC.get(name, 0), "a pattern that is not at the top"


DYNAMIC = {  # patterns made within functions
    "twopass.pipeline.apps.cli.evaluate": 1,  # one class, repeated: nothing follows
    "twopass.pipeline.apps.cli.table": 1,  # possessive, over what is printable
    "twopass.reranker.scorers.encoders.layout": 1,  # of this package's own names
    "twopass.reranker.text.template": 2,  # classes of one character, without a repeat
}
