from __future__ import annotations

import gzip
import json

import pytest

from twopass.reranker.training import Example, ExamplesError, read_examples
from twopass.reranker.training.examples import as_pairs, write_examples


def lines(path, *records):
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def test_every_form(tmp_path):
    path = lines(
        tmp_path / "all.jsonl",
        {"question": "a", "answer": "x", "label": 1},
        {"query": "b", "positive": "x", "negative": "y"},
        {"query": "a", "passage": "y", "label": 0},
        {"anchor": "c", "positive": "x", "negatives": ["y", "z"]},
        {"query": "d", "passages": ["x", "y"], "labels": [0, 1], "scores": [0.5, 2]},
    )
    assert read_examples(path) == [
        Example("b", ("x", "y"), (1, 0)),
        Example("c", ("x", "y", "z"), (1, 0, 0)),
        Example("d", ("x", "y"), (0, 1), (0.5, 2)),
        Example("a", ("x", "y"), (1, 0)),
    ]


@pytest.mark.parametrize("name", ["e.jsonl", "e.jsonl.gz"])
def test_what_is_written_is_read(tmp_path, name):
    examples = [Example("ü", ("x", "y"), (1, 0), (0.25, -3)), Example("b", ("z",), (), (1,))]
    write_examples(tmp_path / name, examples)
    assert read_examples(tmp_path / name) == examples
    if name.endswith("gz"):
        assert gzip.decompress((tmp_path / name).read_bytes()).startswith(b"{")


def test_lists_as_pairs():
    pairs = as_pairs([Example("q", ("x", "y"), (1, 0)), Example("r", ("z",), (), (3,))])
    assert pairs == [
        Example("q", ("x",), (1,)),
        Example("q", ("y",), (0,)),
        Example("r", ("z",), (), (3,)),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected examples, one JSON object a line, found none"),
        ("{", "line 1: expected JSON"),
        ("[]", "line 1: expected a JSON object"),
        ('{"query": "a"}', "record 1: expected one of"),
        ('{"query": "a", "positive": "x", "negatives": "y"}', "expected a list of texts"),
        ('{"query": "a", "passages": ["x"], "labels": [1, 2]}', "each of 1 passages, found 2"),
        ('{"query": "a", "passages": ["x"], "scores": [NaN]}', "expected finite scores"),
        ('{"query": "a", "passages": ["x"]}', "expected passages with labels or scores"),
        ('{"query": "a", "passage": "x", "label": "yes"}', "record 1"),
    ],
)
def test_mistakes(tmp_path, text, message):
    path = tmp_path / "bad.jsonl"
    path.write_text(text)
    with pytest.raises(ExamplesError, match=message):
        read_examples(path)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(ExamplesError, match="expected a file of examples"):
        read_examples(tmp_path / "none.jsonl")
