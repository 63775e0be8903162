"""Documents nested more deeply than can be read again are refused when they come."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from twopass.retriever import BM25Index, Document
from twopass.retriever.corpus import read_documents
from twopass.retriever.errors import CorpusError


def _nested(depth: int, kind: type) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = {"a": value} if kind is dict else [value]
    return value


@pytest.mark.parametrize("kind", [list, dict])
@pytest.mark.parametrize("depth", [101, 900, 5_000, 100_000])
def test_metadata_nested_too_deeply(depth: int, kind: type) -> None:
    deep = Document("1", "text", metadata={"field": _nested(depth, kind)})
    with pytest.raises(CorpusError, match="document '1': expected metadata"):
        BM25Index.build([deep])
    index = BM25Index.build([Document("0", "text")])
    with pytest.raises(CorpusError):
        index.add([deep])
    assert len(index) == 1


@pytest.mark.parametrize("kind", [list, dict])
def test_metadata_nested_as_deeply_as_may_be(kind: type) -> None:
    metadata = {"field": _nested(100, kind)}
    index = BM25Index.build([Document("1", "text", metadata=metadata)])
    assert index.get("1").metadata == metadata


def test_a_line_nested_too_deeply_names_the_line(tmp_path: Path) -> None:
    deep = '{"_id": "2", "text": "b", "x": ' + "[" * 5_000 + "]" * 5_000 + "}"
    (tmp_path / "corpus.jsonl").write_text('{"_id": "1", "text": "a"}\n' + deep + "\n")
    with pytest.raises(CorpusError):
        BM25Index.build(read_documents(tmp_path / "corpus.jsonl"))
