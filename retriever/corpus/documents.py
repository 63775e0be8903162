"""What is indexed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from twopass.retriever.errors import CorpusError

__all__ = ["Document", "check_documents"]


@dataclass(frozen=True, slots=True)
class Document:
    """One document of a corpus.

    >>> Document("d1", "a tale of two cities", metadata={"year": 1859}).contents
    'a tale of two cities'

    Attributes:
        id: its name, not empty, unique in its corpus.
        text: its body; may be empty.
        title: its title; may be empty.
        metadata: further fields, JSON values by name, for filters and display.

    Raises:
        CorpusError: when a field is not of its type, or the id is empty.

    """

    id: str
    text: str
    title: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # Written out: a loop over the fields would be a tenth of the time that indexing takes.
        if not isinstance(self.id, str):
            raise _no_string("id", self.id)
        if not isinstance(self.text, str):
            raise _no_string("text", self.text)
        if not isinstance(self.title, str):
            raise _no_string("title", self.title)
        if not self.id:
            raise CorpusError("field 'id': expected a name, found an empty string")
        if type(self.metadata) is not dict and not isinstance(self.metadata, Mapping):
            raise CorpusError(
                f"field 'metadata': expected an object, found {type(self.metadata).__name__}"
            )

    @property
    def contents(self) -> str:
        """Title and text as one: what BM25 indexes by default and what a reranker reads."""
        return f"{self.title}\n{self.text}" if self.title else self.text


def _no_string(name: str, value: object) -> CorpusError:
    return CorpusError(
        f"field {name!r}: expected a string, found {type(value).__name__} {value!r:.80}"
    )


def check_documents(documents: Iterable[Document]) -> Iterator[Document]:
    """Pass documents on, and nothing else.

    Raises:
        CorpusError: when one is something else.

    """
    for document in documents:
        if not isinstance(document, Document):
            raise CorpusError(
                f"expected a Document, found {type(document).__name__} {document!r:.80}"
            )
        yield document
