from __future__ import annotations

from twopass.retriever.corpus.documents import Document
from twopass.retriever.index.index import BM25Index


def test_fragments_show_the_rarest_matches_of_the_query() -> None:
    text = "Common words. " + "Filler stands here. " * 20 + "A rare bird."
    index = BM25Index.build([Document("1", text), *(Document(f"c{i}", "common") for i in range(9))])
    assert index.highlight("common rare", text, fragment_size=20, number_of_fragments=1) == [
        "A <em>rare</em> bird."
    ]
    assert index.highlight("common", text, fragment_size=15) == ["<em>Common</em> words."]


def test_clauses_are_marked_as_they_match() -> None:
    index = BM25Index.build([Document("1", "x")])
    text = "New York is not the new York state; -old"
    assert index.highlight('+"new york" -state old', text, syntax="query", pre="[", post="]") == [
        "[New] [York] is not the [new] [York] state; -[old]"
    ]
