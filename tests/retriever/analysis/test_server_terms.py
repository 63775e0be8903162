"""The judges of the analysis: a real Elasticsearch and a real OpenSearch."""

from __future__ import annotations

import gzip
import json
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import accumulate
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from twopass.retriever.analysis import get_analyzer

pytestmark = pytest.mark.server

TORTURE = [
    "",
    " \t\r\n\u00a0\u2028",
    "The quick brown foxes' dens, the fox's den and the foxʼs; O’Neill’s ＇s",
    "3.14 1,000,000.5 1.2.3.4 10-12 a.b.c U.S.A. e.g. x,y 1a 2-b c_d _ __ _a_ 9_9 AT&T C++ C# .NET",
    "it's can't won't 'quoted' rock'n'roll l'été aujourd'hui",
    "naïve café cafe\u0301 Straße İstanbul ΣΊΣΥΦΟΣ ﬁne Ǆungla",
    'א"ב ג\'ד ה\' צה"ל 1"2 שלום',
    "العربية ١٢٣٤ لغة\u0640ـ",
    "日本語のテキスト、カタカナとひらがな。ｶﾀｶﾅ １２３４ ＡＢＣ ー々〆",
    "한국어 텍스트입니다 한글abc 각\u1100\u1161",
    "中文文本没有空格。㐀𠀀𪜶",
    "ภาษาไทยไม่มีช่องว่าง ລາວ မြန်မာ ខ្មែរ",
    "😀😃 👍🏽 👨‍👩‍👧‍👦 🇩🇪🇫🇷🇺 ❤️ ❤ 1️⃣ #️⃣ *⃣ © ® ™ ★ ☆ 🏴\U000e0067\U000e0062\U000e007f a🏽b",
    "a\u200db c\u00add e\ufeff f\u2060g h\u200ci",
    "x" * 254 + "y" * 3 + " " + "ab" * 300 + " " + "\U00010400" * 100,
    "1." * 200 + "1" + " " + "a_" * 200 + "é\u0301" * 200,
    "\x00\x01\x1f\x7f control\x00characters\x85here",
    "http://example.com/a?b=c&d=e user@example.com 192.168.0.1 #tag @name $5.00 50%",
    "generally possibly technology technologies assemblies ugly fully sky skies dying is us as",
    "e\u0300\u0301\u0302 \u0301alone \u0915\u094d\u0937 नमस्ते தமிழ் বাংলা",
]

LANGUAGES = {
    "danish": "Hurtige løbere løber gennem skovens stier, mens børnene leger i haverne.",
    "dutch": "Onderzoekers ontdekten nieuwe behandelingen voor de ziekenhuispatiënten.",
    "finnish": "Nopeat juoksijat juoksevat metsän poluilla, kun lapset leikkivät puutarhoissa.",
    "hungarian": "A gyors futók az erdő ösvényein futnak, miközben a gyerekek játszanak.",
    "norwegian": "Raske løpere løper gjennom skogens stier mens barna leker i hagene.",
    "romanian": "Alergătorii rapizi aleargă pe cărările pădurii; negocierile au continuat.",
    "russian": "Быстрые бегуны бегут по тропинкам леса, пока дети играют в садах.",
    "swedish": "Snabba löpare springer genom skogens stigar medan barnen leker.",
    "turkish": "Hızlı koşucular ormanın yollarında koşarken İstanbul'da IŞIK yanıyor.",
}

# What Elasticsearch's own chains lack: the same steps there are a custom analyser.
CUSTOM = {
    "german": ("German", "Die schnellen Läufer laufen durch die Wälder; Verhandlungen, Straßen."),
    "spanish": ("Spanish", "Los corredores rápidos corren por los senderos de los jardines."),
    "portuguese": ("Portuguese", "Os corredores rápidos correm pelas trilhas dos jardins."),
}

CALL = 1_000_000  # characters


def send(method: str, url: str, body: dict[str, Any] | None = None) -> Any:
    content = None if body is None else json.dumps(body).encode()
    kind = {"Content-Type": "application/json"}
    request = urllib.request.Request(url, content, kind, method=method)
    with urllib.request.urlopen(request, timeout=120) as answer:
        return json.load(answer)


@contextmanager
def long_calls(url: str) -> Iterator[str]:
    """The address of an index that analyses more than 10,000 tokens a call."""
    address = f"{url}/analysis-{uuid4().hex}"
    settings = {"index.analyze.max_token_count": CALL, "number_of_replicas": 0}
    send("PUT", address, {"settings": settings})
    try:
        yield address
    finally:
        send("DELETE", address)


def judged(url: str, how: dict[str, Any], texts: Sequence[str]) -> list[list[tuple[str, int, int]]]:
    """Ask the server: each text's terms with their bounds, in UTF-16 code units."""
    wanted = "filter_path=tokens.token,tokens.start_offset,tokens.end_offset"
    answer = send("POST", f"{url}/_analyze?{wanted}", how | {"text": list(texts)})
    found = answer.get("tokens", [])
    # The texts of one call share one range of offsets, one apart.
    starts = list(accumulate((units(text) + 1 for text in texts), initial=0))
    rows: list[list[tuple[str, int, int]]] = [[] for _ in texts]
    row = 0
    for token in found:
        while token["start_offset"] >= starts[row + 1]:
            row += 1
        shift = starts[row]
        bounds = token["start_offset"] - shift, token["end_offset"] - shift
        rows[row].append((token["token"], *bounds))
    return rows


def units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def ours(name: str, text: str) -> list[tuple[str, int, int]]:
    tokens = get_analyzer(name).tokens(text)
    if text.isascii():
        return [(term, start, end) for term, start, end, _ in tokens]
    place = list(accumulate((2 if ord(c) > 0xFFFF else 1 for c in text), initial=0))
    return [(term, place[start], place[end]) for term, start, end, _ in tokens]


def calls(texts: Sequence[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    for text in texts:
        if batch and sum(map(len, batch)) + len(text) > CALL:
            yield batch
            batch = []
        batch.append(text)
    if batch:
        yield batch


def collection(folder: Path) -> list[str]:
    texts = []
    for name in ("corpus", "queries"):
        packed = folder / f"{name}.jsonl.gz"
        with (
            gzip.open(packed) if packed.exists() else (folder / f"{name}.jsonl").open("rb") as lines
        ):
            for line in lines:
                row = json.loads(line)
                texts += [part for part in (row.get("title"), row["text"]) if part]
    return texts


@pytest.mark.parametrize("name", ["scifact", "nfcorpus"])
@pytest.mark.parametrize("analyzer", ["standard", "english"])
def test_every_text_of_a_collection(
    name: str,
    analyzer: str,
    data: Callable[[str], Path],
    request: pytest.FixtureRequest,
) -> None:
    server = "elasticsearch_url" if analyzer == "standard" else "opensearch_url"
    texts = collection(data(name))
    with long_calls(request.getfixturevalue(server)) as url:
        for batch in calls(texts):
            there = judged(url, {"analyzer": analyzer}, batch)
            for text, expected in zip(batch, there, strict=True):
                assert ours(analyzer, text) == expected


@pytest.mark.parametrize("analyzer", ["standard", "whitespace", "simple", "keyword"])
def test_torture_elasticsearch(analyzer: str, elasticsearch_url: str) -> None:
    for text in filter(None, TORTURE):  # Lucene's keyword gives one empty term for no text
        (expected,) = judged(elasticsearch_url, {"analyzer": analyzer}, [text])
        found = ours(analyzer, text)
        assert [term for term, *_ in found] == [term for term, *_ in expected]
        if analyzer != "keyword":
            assert found == expected


@pytest.mark.parametrize("analyzer", ["standard", "english", "whitespace", "simple", "cjk"])
def test_torture_opensearch(analyzer: str, opensearch_url: str) -> None:
    for text in TORTURE:
        (expected,) = judged(opensearch_url, {"analyzer": analyzer}, [text])
        assert ours(analyzer, text) == expected


def test_positions_have_holes_for_stop_words(opensearch_url: str) -> None:
    text = "the state of the art in the field"
    answer = send("POST", f"{opensearch_url}/_analyze", {"analyzer": "english", "text": text})
    expected = [(token["token"], token["position"]) for token in answer["tokens"]]
    tokens = get_analyzer("english").tokens(text)
    assert [(token.term, token.position) for token in tokens] == expected


@pytest.mark.parametrize("language", LANGUAGES)
def test_language(language: str, opensearch_url: str) -> None:
    text = LANGUAGES[language]
    (expected,) = judged(opensearch_url, {"analyzer": language}, [text])
    assert ours(language, text) == expected


@pytest.mark.parametrize("language", CUSTOM)
def test_language_as_custom_analyzer(language: str, opensearch_url: str) -> None:
    stemmer, text = CUSTOM[language]
    stop = {"type": "stop", "stopwords": f"_{language}_"}
    how = {
        "tokenizer": "standard",
        "filter": ["lowercase", stop, {"type": "snowball", "language": stemmer}],
    }
    (expected,) = judged(opensearch_url, how, [text])
    assert ours(language, text) == expected
