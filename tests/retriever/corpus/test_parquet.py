from __future__ import annotations

import datetime
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from twopass.retriever import Document
from twopass.retriever.corpus import FieldNames, SkipReport, read_documents
from twopass.retriever.errors import CorpusError

pyarrow = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")


def table(tmp_path: Path, **columns: Any) -> Path:
    path = tmp_path / "c.parquet"
    parquet.write_table(pyarrow.table(columns), path)
    return path


def test_values_come_as_json_has_them(tmp_path: Path) -> None:
    path = table(
        tmp_path,
        id=[1, 2],
        text=["one", None],
        title=["T", ""],
        day=[datetime.date(2020, 1, 2), None],
        price=[Decimal("1.50"), None],
        score=[float("nan"), 0.5],
        tags=[["a", "b"], []],
    )
    assert list(read_documents(path)) == [
        Document("1", "one", "T", {"day": "2020-01-02", "price": 1.5, "tags": ["a", "b"]}),
        Document("2", "", "", {"score": 0.5, "tags": []}),
    ]


def test_many_rows_over_several_batches(tmp_path: Path) -> None:
    path = table(tmp_path, id=range(5_000), text=["x"] * 5_000)
    assert [document.id for document in read_documents(path)] == [str(i) for i in range(5_000)]


def test_a_bad_row_is_named_and_skipped(tmp_path: Path) -> None:
    path = table(tmp_path, id=["a", None, "c"], text=["1", "2", "3"])
    with pytest.raises(CorpusError, match=r"c\.parquet, row 2: field 'id'"):
        list(read_documents(path))
    assert [document.id for document in read_documents(path, on_error="skip")] == ["a", "c"]


def test_a_string_that_is_not_utf8(tmp_path: Path) -> None:
    broken = pyarrow.array([b"good", b"\xe9"]).view(pyarrow.string())
    path = table(tmp_path, id=["a", "b"], text=broken)
    report = SkipReport()
    assert [d.id for d in read_documents(path, on_error="skip", report=report)] == ["a"]
    assert "row 2" in report.cases[0]


def test_bytes_are_no_json(tmp_path: Path) -> None:
    path = table(tmp_path, id=["a"], text=["x"], raw=[b"\x00"])
    with pytest.raises(CorpusError, match="row 1: expected JSON values, found a bytes"):
        list(read_documents(path))


def test_missing_columns_are_named(tmp_path: Path) -> None:
    path = table(tmp_path, key=["a"], text=["x"])
    with pytest.raises(CorpusError, match=r"c\.parquet: .*found the fields 'key', 'text'"):
        list(read_documents(path))
    assert next(read_documents(path, fields=FieldNames(id="key"))).id == "a"


def test_not_parquet(tmp_path: Path) -> None:
    path = tmp_path / "c.parquet"
    path.write_text("id,text\n")
    with pytest.raises(CorpusError, match="expected a Parquet file"):
        list(read_documents(path))


def test_standard_input_is_refused() -> None:
    with pytest.raises(CorpusError, match="give a file"):
        list(read_documents("-", format="parquet"))


def test_without_pyarrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = table(tmp_path, id=["a"], text=["x"])
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(CorpusError, match=r"pip install 'twopass\[parquet\]'"):
        list(read_documents(path))
