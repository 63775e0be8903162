from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twopass.retriever import Document
from twopass.retriever.corpus import FieldNames, SkipReport, read_documents
from twopass.retriever.errors import CorpusError


def table(tmp_path: Path, content: str, name: str = "c.csv") -> Path:
    path = tmp_path / name
    path.write_bytes(content.encode())
    return path


def test_other_columns_are_metadata(tmp_path: Path) -> None:
    path = table(tmp_path, "id,title,text,year\r\n1,T,x,1999\r\n")
    assert list(read_documents(path)) == [Document("1", "x", "T", {"year": "1999"})]


def test_quoted_line_breaks_and_the_lines_after_them(tmp_path: Path) -> None:
    path = table(tmp_path, 'id,text\na,"one\ntwo, ""three"""\nb,x,y\n')
    assert next(read_documents(path)).text == 'one\ntwo, "three"'
    with pytest.raises(CorpusError, match=r"c\.csv, line 4: expected 2 columns .* found 3"):
        list(read_documents(path))


def test_a_bad_row_is_placed_at_its_first_line(tmp_path: Path) -> None:
    path = table(tmp_path, 'id,text\n,"one\ntwo"\n')
    with pytest.raises(CorpusError, match="line 2: field 'id'"):
        list(read_documents(path))


@pytest.mark.parametrize("bad", ['b,"x" y', "b", "b,x,y", ",x"])
def test_bad_rows_are_skipped_alone(tmp_path: Path, bad: str) -> None:
    path = table(tmp_path, f"id,text\na,one\n{bad}\nc,three\n")
    report = SkipReport()
    documents = read_documents(path, on_error="skip", report=report)
    assert [document.id for document in documents] == ["a", "c"]
    assert report.count == 1
    assert "line 3" in report.cases[0]


def test_a_quotation_mark_left_open(tmp_path: Path) -> None:
    path = table(tmp_path, 'id,text\na,"one\nb,two\n')
    with pytest.raises(CorpusError, match="line 2: unexpected end of data"):
        list(read_documents(path))


def test_a_bad_byte_costs_its_row_only(tmp_path: Path) -> None:
    path = tmp_path / "c.csv"
    path.write_bytes(b'id,text\na,"one\n\xe9"\nb,two\n')
    documents = list(read_documents(path, on_error="skip"))
    assert documents == [Document("b", "two")]
    with pytest.raises(CorpusError, match="line 2: expected UTF-8"):
        list(read_documents(path))


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("a,b", r"line 1, the header: expected the field '_id' .* found the fields 'a', 'b'"),
        ("id;text", "found the fields 'id;text'"),
        ("id,text,text", "found 'text' twice"),
    ],
)
def test_missing_columns_are_named_even_when_skipping(
    tmp_path: Path, header: str, message: str
) -> None:
    path = table(tmp_path, f"{header}\n1,2\n")
    with pytest.raises(CorpusError, match=message):
        list(read_documents(path, on_error="skip"))


def test_a_named_title_must_be_a_column(tmp_path: Path) -> None:
    path = table(tmp_path, "id,text\n1,2\n")
    with pytest.raises(CorpusError, match="the field 'titel' as the title"):
        list(read_documents(path, fields=FieldNames(title="titel")))


def test_five_megabytes_in_one_cell(tmp_path: Path) -> None:
    text = "word " * 1_000_000
    assert next(read_documents(table(tmp_path, f"id,text\na,{text}\n"))).text == text


def test_utf16_as_spreadsheets_save_it_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "c.tsv"
    path.write_bytes("id\ttext\r\n1\t中文 😀\r\n".encode("utf-16"))
    with pytest.raises(CorpusError, match=r"found the byte order mark of UTF-16; .*iconv"):
        list(read_documents(path))


def test_tsv_has_no_quoting(tmp_path: Path) -> None:
    path = table(tmp_path, 'id\ttext\na\t"Hello," she said\nb\t"\n', "c.tsv")
    assert [document.text for document in read_documents(path)] == ['"Hello," she said', '"']


def test_only_a_header_is_an_empty_corpus(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="found none"):
        list(read_documents(table(tmp_path, "id,text\n")))


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), min_size=1))
def test_whatever_the_csv_module_writes_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str]
) -> None:
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer)
    writer.writerows([("id", "text"), *enumerate(texts)])
    path = table(tmp_path_factory.mktemp("csv"), buffer.getvalue())
    assert [document.text for document in read_documents(path)] == texts
