"""Queries made from titles, sentences and phrases, for passages that nobody asked about."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from distill.texts import SENTENCE_END, Passage, Query

__all__ = ["abstract_queries", "made_queries", "webbed"]

_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")
_TITLE_FORMS = (
    "{}", "{}", "what is {}", "what is {}", "define {}", "{} definition", "{} meaning",
    "how does {} work", "facts about {}", "who was {}", "where is {}", "history of {}",
    "types of {}", "causes of {}", "why is {} important", "is {} dangerous", "cost of {}",
)  # fmt: skip
_PHRASE_FORMS = (
    "{}", "{}", "{}", "{}", "what is {}", "what are {}", "definition of {}", "what causes {}",
    "how to {}", "how long {}", "what does {} mean", "difference between {}", "example of {}",
)  # fmt: skip
_FUNCTION_WORDS = frozenset(
    ("a", "an", "and", "are", "as", "at", "be", "by", "did", "do", "does", "for", "from", "had",
     "has", "have", "how", "in", "is", "it", "its", "many", "of", "on", "or", "that", "the",
     "their", "they", "this", "those", "to", "was", "were", "what", "when", "where", "which",
     "who", "whose", "why", "will", "with")
)  # fmt: skip


def _keywords(text: str) -> str:
    return " ".join(w for w in _WORD.findall(text) if w.lower() not in _FUNCTION_WORDS)


def _phrase(text: str, rarity: dict[str, int], rng: random.Random) -> str:
    """Return the rarest of a few runs of two to five words that end in content words."""
    words = _WORD.findall(text)
    runs = []
    for _ in range(12):
        start, size = rng.randrange(max(1, len(words) - 4)), rng.randint(2, 5)
        run = words[start : start + size]
        if run and not {run[0].lower(), run[-1].lower()} & _FUNCTION_WORDS:
            rare = sum(1 / (1 + rarity[w.lower()]) ** 0.5 for w in run) / len(run)
            runs.append((rare, " ".join(run)))
    runs.sort()
    # not the rarest: those are names and misprints
    return runs[len(runs) * 2 // 3][1] if runs else ""


def made_queries(
    passages: Sequence[Passage], counts: Mapping[str, int], rng: random.Random
) -> Iterator[Query]:
    """Yield queries of the kinds title, phrase and sentence, about ``counts`` of each."""
    rarity = Counter(w.lower() for p in passages for w in dict.fromkeys(_WORD.findall(p.text)))
    titled = list({p.title: row for row, p in enumerate(passages) if p.title}.items())
    for title, row in rng.sample(titled, min(counts["title"], len(titled))):
        long = passages[row].long
        if long and rng.random() < 0.5:
            continue
        words = title.rstrip(".")
        form = "{}" if len(words.split()) > 5 else rng.choice(_TITLE_FORMS)
        if not long and rng.random() < 0.4:
            words = f"{words} {_phrase(passages[row].text, rarity, rng)}"
            form = "{}"
        yield Query(form.format(words), "title", -1, row, long)
    for _ in range(counts["phrase"]):
        row = rng.randrange(len(passages))
        phrase = _phrase(passages[row].text, rarity, rng)
        if phrase:
            text = rng.choice(_PHRASE_FORMS).format(phrase)
            yield Query(text, "phrase", -1, row, passages[row].long)
    for _ in range(counts["sentence"]):
        row = rng.randrange(len(passages))
        sentence = rng.choice(SENTENCE_END.split(passages[row].text)).strip()
        if len(sentence.split()) > 5:
            text = " ".join(sentence.split()[:20])
            yield Query(text, "sentence", -1, row, passages[row].long)


def webbed(query: Query, rng: random.Random) -> Query:
    """Write some queries as people type them: no mark, lower case, sometimes keywords alone."""
    text = query.text
    if rng.random() < 0.5:
        text = text.rstrip(" ?.").lower()
        if query.kind != "sentence" and rng.random() < 0.25:
            text = _keywords(text) or text
    return replace(query, text=text)


def abstract_queries(passages: Sequence[Passage], count: int, rng: random.Random) -> list[Query]:
    """Return titles and whole sentences of long passages, asked about long passages."""
    long = [row for row, passage in enumerate(passages) if passage.long]
    queries = []
    for row in rng.choices(long, k=count):
        sentences = [s.strip() for s in SENTENCE_END.split(passages[row].text)]
        claims = [s for s in sentences if 5 < len(s.split()) < 30] or [passages[row].title]
        text = rng.choice(claims) if rng.random() < 0.7 else passages[row].title
        queries.append(Query(text, "abstract", -1, row, long=True))
    return queries
