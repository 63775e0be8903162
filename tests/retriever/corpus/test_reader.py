from __future__ import annotations

import gzip
import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twopass.retriever import Document
from twopass.retriever.corpus import FieldNames, SkipReport, read_documents
from twopass.retriever.errors import CorpusError, DuplicateIdError

_TEXT = st.text(st.characters(exclude_categories=["Cs"]))
GOOD = '{"_id": "a", "text": "one"}\n{"_id": "b", "title": "T", "text": "two"}\n'
TWO = [Document("a", "one"), Document("b", "two", "T")]


def write(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def lines(*records: dict[str, Any]) -> str:
    return "".join(json.dumps(record) + "\n" for record in records)


def skipped(path: Path, **options: Any) -> tuple[list[Document], SkipReport]:
    report = SkipReport()
    return list(read_documents(path, on_error="skip", report=report, **options)), report


class TestRealCollections:
    @pytest.mark.parametrize(
        ("name", "count"), [("scifact", 5_183), ("nfcorpus", 3_633), ("demo-medquad-mini", 1_699)]
    )
    def test_every_document_of_a_beir_folder(
        self, data: Callable[[str], Path], name: str, count: int
    ) -> None:
        documents = list(read_documents(data(name)))
        assert len({document.id for document in documents}) == count
        assert all(document.text or document.title for document in documents)

    def test_metadata_is_kept(self, data: Callable[[str], Path]) -> None:
        first = next(read_documents(data("demo-medquad-mini")))
        assert first.metadata == {
            "source": "CancerGov",
            "url": "https://www.cancer.gov/types/leukemia/patient/adult-all-treatment-pdq",
        }


class TestEncodings:
    TEXT = "naïve 😀 שלום 中文 \u2028 end"

    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
    def test_unicode_with_and_without_a_mark(self, tmp_path: Path, encoding: str) -> None:
        record = json.dumps({"id": "é", "text": self.TEXT}, ensure_ascii=False)
        path = write(tmp_path / "c.jsonl", (record + "\r\n").encode(encoding))
        assert list(read_documents(path)) == [Document("é", self.TEXT)]

    @pytest.mark.parametrize("pack", [bytes, gzip.compress])
    @pytest.mark.parametrize(
        ("encoding", "name"),
        [
            *(("utf-16-le", "UTF-16"), ("utf-16-be", "UTF-16")),
            *(("utf-32-le", "UTF-32"), ("utf-32-be", "UTF-32")),
        ],
    )
    def test_another_encoding_is_named_by_its_mark(
        self, tmp_path: Path, encoding: str, name: str, pack: Callable[[bytes], bytes]
    ) -> None:
        path = write(tmp_path / "c.jsonl", pack(("\ufeff" + GOOD).encode(encoding)))
        message = (
            rf"c\.jsonl: expected UTF-8, found the byte order mark of {name}; .*iconv -f {name}"
        )
        with pytest.raises(CorpusError, match=message):
            list(read_documents(path, on_error="skip"))

    def test_a_byte_that_is_not_utf8(self, tmp_path: Path) -> None:
        path = write(
            tmp_path / "c.jsonl", GOOD.encode() + '{"id": "c", "text": "é"}'.encode("cp1252")
        )
        with pytest.raises(CorpusError, match=r"c\.jsonl, line 3: expected UTF-8, .* byte 0xe9"):
            list(read_documents(path))
        documents, report = skipped(path)
        assert documents == TWO
        assert report.count == 1

    def test_mixed_encodings_cost_only_their_lines(self, tmp_path: Path) -> None:
        parts = [lines({"id": str(i), "text": "x"}).encode() for i in range(4)]
        parts[2] = '{"id": "2", "text": "ü"}\n'.encode("latin-1")
        path = write(tmp_path / "c.jsonl", b"".join(parts))
        documents, report = skipped(path)
        assert [document.id for document in documents] == ["0", "1", "3"]
        assert "line 3" in report.cases[0]

    def test_utf16_without_a_mark_is_named(self, tmp_path: Path) -> None:
        path = write(tmp_path / "c.jsonl", GOOD.encode("utf-16-le"))
        with pytest.raises(CorpusError, match=r"is it UTF-16\? Convert it \(iconv"):
            list(read_documents(path))

    def test_half_a_surrogate_pair(self, tmp_path: Path) -> None:
        path = write(tmp_path / "c.jsonl", '{"id": "a", "text": "half \\ud83d"}')
        with pytest.raises(CorpusError, match=r"line 1: .*half a surrogate pair, U\+D83D"):
            list(read_documents(path))

    def test_a_whole_escaped_pair_is_an_emoji(self, tmp_path: Path) -> None:
        path = write(tmp_path / "c.jsonl", '{"id": "a", "text": "\\ud83d\\ude00"}')
        assert next(read_documents(path)).text == "😀"

    def test_nul_is_a_character(self, tmp_path: Path) -> None:
        path = write(tmp_path / "c.jsonl", lines({"id": "a", "text": "x\0y"}))
        assert next(read_documents(path)).text == "x\0y"

    @given(
        st.dictionaries(_TEXT.filter(bool), _TEXT, min_size=1),
        st.sampled_from(["utf-8", "utf-8-sig"]),
        st.sampled_from(["\n", "\r\n", "\n\n"]),
        st.booleans(),
    )
    def test_whatever_is_written_is_read_back(
        self,
        tmp_path_factory: pytest.TempPathFactory,
        texts: dict[str, str],
        encoding: str,
        newline: str,
        escaped: bool,
    ) -> None:
        records = [{"id": id, "text": text} for id, text in texts.items()]
        content = "".join(json.dumps(each, ensure_ascii=escaped) + newline for each in records)
        path = write(tmp_path_factory.mktemp("c") / "c.jsonl", content.encode(encoding))
        expected = [Document(id, text) for id, text in texts.items()]
        assert list(read_documents(path)) == expected


class TestShapes:
    def test_blank_lines_are_passed_over(self, tmp_path: Path) -> None:
        path = write(tmp_path / "c.jsonl", "\n" + GOOD.replace("\n", "\r\n\r\n") + "  \n")
        assert list(read_documents(path)) == TWO

    def test_gzip_is_known_by_its_bytes(self, tmp_path: Path) -> None:
        path = write(tmp_path / "c.jsonl", gzip.compress(GOOD.encode()))
        assert list(read_documents(path)) == TWO

    @pytest.mark.parametrize("cut", [30, -1])
    def test_a_cut_gzip_file(self, tmp_path: Path, cut: int) -> None:
        path = write(tmp_path / "c.jsonl.gz", gzip.compress(GOOD.encode() * 99)[:cut])
        with pytest.raises(CorpusError, match="damaged or cut"):
            list(read_documents(path, on_error="skip"))

    def test_five_megabytes_in_one_document(self, tmp_path: Path) -> None:
        text = "word " * 1_000_000
        path = write(tmp_path / "c.jsonl", lines({"id": "a", "text": text}))
        assert next(read_documents(path)).text == text

    def test_an_empty_document_keeps_its_id(self, tmp_path: Path) -> None:
        path = write(
            tmp_path / "c.jsonl", lines({"id": "a", "text": ""}, {"id": "b", "text": None})
        )
        assert list(read_documents(path)) == [Document("a", ""), Document("b", "")]

    @pytest.mark.parametrize("content", ["", "\n\n", "\ufeff", gzip.compress(b"")])
    def test_an_empty_corpus_is_refused(self, tmp_path: Path, content: str | bytes) -> None:
        path = write(tmp_path / "c.jsonl", content)
        with pytest.raises(CorpusError, match="expected documents, found none"):
            list(read_documents(path))

    def test_standard_input(self, monkeypatch: pytest.MonkeyPatch) -> None:
        raw = io.BufferedReader(io.BytesIO(gzip.compress(GOOD.encode())))
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(raw))
        assert list(read_documents("-")) == TWO
        assert not raw.closed

    def test_a_folder_in_order_without_hidden_or_unknown_files(self, tmp_path: Path) -> None:
        write(tmp_path / "b.csv", "id,text\nb,two\n")
        write(tmp_path / "a" / "z.jsonl", lines({"id": "a", "text": "one"}))
        write(tmp_path / ".hidden.jsonl", "broken")
        write(tmp_path / "README.md", "broken")
        assert [document.id for document in read_documents(tmp_path)] == ["a", "b"]
        assert [document.id for document in read_documents(tmp_path, format="csv")] == ["b"]

    def test_several_paths(self, tmp_path: Path) -> None:
        one = write(tmp_path / "1.jsonl", lines({"id": "a", "text": "one"}))
        two = write(tmp_path / "2.jsonl", lines({"id": "b", "text": "two"}))
        assert [document.id for document in read_documents([two, one])] == ["b", "a"]

    def test_queries_of_a_beir_folder_are_no_documents(self, tmp_path: Path) -> None:
        write(tmp_path / "corpus.jsonl", GOOD)
        write(tmp_path / "queries.jsonl", lines({"_id": "q", "text": "?"}))
        assert list(read_documents(tmp_path)) == list(read_documents(tmp_path, format="beir"))
        assert [document.id for document in read_documents(tmp_path)] == ["a", "b"]


class TestBadRecords:
    @pytest.mark.parametrize(
        ("line", "message"),
        [
            ('{"id": "x", "text": "y"', r"expected a JSON object, the line ends at character 24"),
            ("text", "found 'text' at character 1"),
            ("[1]", r"found an array; .*jq -c"),
            ('"x"', "found a string"),
            ("12", "found a number"),
            ("null", "found null"),
            ("{} {}", r"found '\{\}"),
            ('{"id": "x", "text": NaN}', "NaN is not JSON"),
            ('{"id": "x", "text": "y", "deep": ' + "[" * 100_000, "beyond bounds"),
            ('{"id": "x", "text": "y", "n": ' + "9" * 5_000 + "}", "beyond bounds"),
            ('{"text": "y"}', r"the field '_id' or 'id' .* found the fields 'text'; .*--id-field"),
            ('{"id": "x"}', r"the field 'text' or 'contents'"),
            ('{"id": "", "text": "y"}', r"field 'id': expected an id, found an empty string"),
            ('{"id": 1.5, "text": "y"}', r"field 'id': .* found float 1\.5"),
            ('{"id": true, "text": "y"}', "field 'id': .* found bool True"),
            ('{"id": null, "text": "y"}', "field 'id': .* found NoneType"),
            ('{"id": "x", "text": 5}', "field 'text': expected a string, found int 5"),
            (
                '{"id": "x", "text": "y", "title": []}',
                "field 'title': expected a string, found list",
            ),
        ],
    )
    def test_file_line_field_expected_and_found(
        self, tmp_path: Path, line: str, message: str
    ) -> None:
        path = write(tmp_path / "c.jsonl", f"{GOOD}{line}\n" + lines({"id": "z", "text": ""}))
        with pytest.raises(CorpusError, match=rf"c\.jsonl, line 3: .*{message}") as caught:
            list(read_documents(path))
        documents, report = skipped(path)
        assert [document.id for document in documents] == ["a", "b", "z"]
        assert report == SkipReport(count=1, cases=[str(caught.value)])

    def test_only_the_first_cases_are_kept(self, tmp_path: Path) -> None:
        path = write(tmp_path / "c.jsonl", "broken\n" * 25 + GOOD)
        documents, report = skipped(path)
        assert documents == TWO
        assert report.count == 25
        assert len(report.cases) == 10

    def test_nothing_but_bad_records(self, tmp_path: Path) -> None:
        path = write(tmp_path / "c.jsonl", "broken\n" * 3)
        with pytest.raises(
            CorpusError, match=r"found none; 3 records were skipped, the first: .*1"
        ):
            skipped(path)

    def test_an_array_of_json(self, tmp_path: Path) -> None:
        path = write(tmp_path / "c.json", '[\n  {"id": "a", "text": "one"}\n]')
        with pytest.raises(CorpusError, match=r"line 1: .*jq -c"):
            list(read_documents(path))


class TestDuplicates:
    def test_both_places_are_named(self, tmp_path: Path) -> None:
        write(tmp_path / "1.jsonl", GOOD)
        write(tmp_path / "2.jsonl", '\n\n{"id": "c", "text": ""}\n{"id": "b", "text": ""}\n')
        message = r"2\.jsonl, line 4: .*'b', which is also the id of .*1\.jsonl, line 2$"
        with pytest.raises(DuplicateIdError, match=message):
            list(read_documents(tmp_path))
        documents, report = skipped(tmp_path)
        assert [document.id for document in documents] == ["a", "b", "c"]
        assert report.count == 1

    def test_a_number_and_its_digits_are_one_id(self, tmp_path: Path) -> None:
        path = write(tmp_path / "c.jsonl", lines({"id": 17, "text": ""}, {"id": "17", "text": ""}))
        with pytest.raises(DuplicateIdError, match="'17'"):
            list(read_documents(path))

    def test_a_refused_record_does_not_claim_its_id(self, tmp_path: Path) -> None:
        path = write(tmp_path / "c.jsonl", lines({"id": "a", "text": 5}, {"id": "a", "text": "ok"}))
        assert skipped(path)[0] == [Document("a", "ok")]


class TestFields:
    RECORD: ClassVar = {"pmid": 7, "abstract": "text", "headline": "H", "year": 1999, "none": None}

    def test_named_fields(self, tmp_path: Path) -> None:
        path = write(tmp_path / "c.jsonl", lines(self.RECORD))
        fields = FieldNames(id="pmid", text="abstract", title="headline")
        assert list(read_documents(path, fields=fields)) == [
            Document("7", "text", "H", {"year": 1999})
        ]

    @pytest.mark.parametrize("id", ["_id", "id", "docid", "doc_id"])
    @pytest.mark.parametrize("text", ["text", "contents", "content", "body"])
    def test_customary_fields(self, tmp_path: Path, id: str, text: str) -> None:
        path = write(tmp_path / "c.jsonl", lines({id: "a", text: "one"}))
        assert list(read_documents(path)) == [Document("a", "one")]

    def test_the_metadata_object_is_merged(self, tmp_path: Path) -> None:
        record = {"id": "a", "text": "", "year": 1, "metadata": {"year": 2, "lang": "en"}}
        path = write(tmp_path / "c.jsonl", lines(record))
        assert next(read_documents(path)).metadata == {"year": 1, "lang": "en"}

    def test_a_title_may_be_missing_here_and_there(self, tmp_path: Path) -> None:
        path = write(
            tmp_path / "c.jsonl", lines({"id": 1, "text": ""}, {"id": 2, "text": "", "t": "T"})
        )
        titles = [document.title for document in read_documents(path, fields=FieldNames(title="t"))]
        assert titles == ["", "T"]

    def test_a_named_title_that_never_comes(self, tmp_path: Path) -> None:
        path = write(tmp_path / "c.jsonl", GOOD)
        with pytest.raises(CorpusError, match="titles in the field 'titel', found it in no record"):
            list(read_documents(path, fields=FieldNames(title="titel")))

    def test_one_field_cannot_be_two_things(self) -> None:
        with pytest.raises(CorpusError, match="different names"):
            FieldNames(id="x", text="x")


class TestSources:
    def test_refused_before_the_first_document_is_asked_for(self, tmp_path: Path) -> None:
        with pytest.raises(CorpusError, match="found nothing there"):
            read_documents(tmp_path / "absent.jsonl")
        with pytest.raises(CorpusError, match=r"expected a name that ends in \.jsonl"):
            read_documents(write(tmp_path / "c.xml", GOOD))
        with pytest.raises(CorpusError, match="found none in the folder"):
            read_documents(tmp_path)
        with pytest.raises(CorpusError, match="'xml': expected one of jsonl"):
            read_documents(tmp_path, format="xml")  # type: ignore[arg-type]
        with pytest.raises(CorpusError, match="'stop' or 'skip'"):
            read_documents(tmp_path, on_error="ignore")  # type: ignore[arg-type]
        with pytest.raises(CorpusError, match=r"BEIR folder with corpus\.jsonl"):
            read_documents(tmp_path, format="beir")
        with pytest.raises(CorpusError, match="found a file"):
            read_documents(tmp_path / "c.xml", format="beir")

    def test_a_given_format_overrules_the_ending(self, tmp_path: Path) -> None:
        path = write(tmp_path / "c.txt", GOOD)
        assert list(read_documents(path, format="jsonl")) == TWO
