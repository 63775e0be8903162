"""What the models read: passages cut from the collections, and queries of many kinds."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from twopass.retriever.corpus import BeirFolder, read_documents, read_qrels
from twopass.retriever.corpus.documents import Document

__all__ = ["SENTENCE_END", "Collection", "Passage", "Query"]

SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[\"'(\[]?[A-Z0-9])|\n+(?:- )?")
_WINDOW_WORDS = (30, 45, 60, 90)  # web passages have about 55
_LONG_WORDS = 200  # whole abstracts and answers, cut here


@dataclass(frozen=True, slots=True)
class Passage:
    """One text that can be a candidate; ``long`` ones form an index of their own."""

    text: str
    title: str  # of its document, also where the text does not begin with it
    long: bool = False


@dataclass(frozen=True, slots=True)
class Query:
    """One query; ``positive`` is the row of the passage that a person judged relevant, or -1."""

    text: str
    kind: str
    positive: int = -1
    origin: int = -1  # row of the passage that the text was taken from
    long: bool = False  # ask for long candidates


def _windows(text: str, rng: random.Random) -> list[str]:
    """Cut a text at sentence ends into pieces of a few dozen words each."""
    pieces: list[str] = []
    held: list[str] = []
    target = rng.choice(_WINDOW_WORDS)
    for sentence in SENTENCE_END.split(text):
        held.append(sentence.strip())
        if sum(len(piece.split()) for piece in held) >= target:
            pieces.append(" ".join(held))
            held, target = [], rng.choice(_WINDOW_WORDS)
    rest = " ".join(held).strip()
    if len(rest.split()) >= 15 or not pieces:
        pieces.append(rest)
    return [piece for piece in (" ".join(p.split()[:100]) for p in pieces) if piece]


class Collection:
    """The passages and the people's questions of several BEIR folders below one root."""

    def __init__(self, root: Path, rng: random.Random) -> None:
        self.root, self.rng = root, rng
        self.passages: list[Passage] = []
        self.queries: list[Query] = []

    def _add(self, text: str, document: Document, titled: float, *, long: bool = False) -> int:
        """Take a text, with its title before it at the rate ``titled``; return its row."""
        if document.title and self.rng.random() < titled:
            text = f"{document.title}\n{text}"
        self.passages.append(Passage(text, document.title, long))
        return len(self.passages) - 1

    def _asked(self, name: str) -> Iterator[tuple[Document, str]]:
        """Yield the train questions, with their metadata, and a document judged relevant."""
        folder = BeirFolder(self.root / name)
        judged = read_qrels(folder.qrels("train"))
        for question in read_documents(folder.queries):
            for document in judged.get(question.id, ()):
                yield question, document

    def nq(self, share: float) -> None:
        """Take paragraphs with their train questions, but none that a dev question has."""
        folder = BeirFolder(self.root / "nq-qed")
        hidden = {d for judged in read_qrels(folder.qrels("dev")).values() for d in judged}
        taught = {document for _, document in self._asked("nq-qed")} - hidden
        rows: dict[str, int] = {}
        for document in read_documents(folder.path):
            if document.id in taught and self.rng.random() <= share:
                text = " ".join(document.text.split()[:120])
                rows[document.id] = self._add(text, document, 0.5)
        for question, answer in self._asked("nq-qed"):
            if answer in rows:
                self.queries.append(Query(question.text, "nq", rows[answer], rows[answer]))

    def squad(self, share: float, questions: int) -> None:
        """Take windows of train paragraphs; the positive is the one that holds the answer."""
        rows: dict[str, list[int]] = {}
        for document in read_documents(self.root / "squad"):
            if document.id.startswith("train-") and self.rng.random() <= share:
                whole = self.rng.random() < 0.1
                cut = [document.text] if whole else _windows(document.text, self.rng)
                rows[document.id] = [self._add(text, document, 0.4) for text in cut]
        found = []
        for question, paragraph in self._asked("squad"):
            answer = question.metadata["answers"][0]
            holding = [r for r in rows.get(paragraph, ()) if answer in self.passages[r].text]
            if len(holding) == 1 and len(question.text) > 15:
                found.append(Query(question.text, "squad", holding[0], holding[0]))
        self.queries += self.rng.sample(found, min(questions, len(found)))

    def medquad(self, share: float, questions: int) -> None:
        """Take a window of each answer, no label, and nothing of the demo corpus."""
        demo = {document.id for document in read_documents(self.root / "demo-medquad-mini")}
        rows: dict[str, int] = {}
        for document in read_documents(self.root / "medquad"):
            if document.id not in demo and self.rng.random() <= share:
                text = self.rng.choice(_windows(document.text, self.rng))
                rows[document.id] = self._add(text, document, 0.4)
        asked = {q.id: (q.text, rows[d]) for q, d in self._asked("medquad") if d in rows}
        found = [Query(text, "medquad", -1, row) for text, row in asked.values()]
        self.queries += self.rng.sample(found, min(questions, len(found)))

    def abstracts(self, name: str, share: float, *, whole: float = 0.3) -> None:
        """Take abstracts, whole or a window: the texts alone, no query and no judgement."""
        for document in read_documents(self.root / name):
            long = self.rng.random() < whole
            text = " ".join(document.text.split()[:_LONG_WORDS])
            text = text if long else self.rng.choice(_windows(document.text, self.rng))
            if self.rng.random() < share:
                self._add(text, document, 0.6, long=long)
