from __future__ import annotations

import os
from pathlib import Path

import pytest
from pydantic import ValidationError

from twopass.pipeline.apps.settings import Settings, load_settings
from twopass.pipeline.errors import SettingsError
from twopass.retriever.scoring import Lucene, Okapi


@pytest.fixture(autouse=True)
def _nothing_around(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in [name for name in os.environ if name.upper().startswith("TWOPASS_")]:
        monkeypatch.delenv(variable)
    monkeypatch.chdir(tmp_path)


def write(content: str, name: str = "twopass.toml") -> Path:
    path = Path(name)
    path.write_text(content, encoding="utf-8")
    return path


def test_defaults() -> None:
    settings = load_settings()
    assert settings == Settings()
    assert (settings.depth, settings.k) == (100, 10)
    assert settings.reranker.model == "twopass/default"


def test_arguments_over_environment_over_file(monkeypatch: pytest.MonkeyPatch) -> None:
    write('depth = 1\nk = 1\n[retriever]\nk1 = 1.0\nb = 0.1\nindex = "file"\n')
    monkeypatch.setenv("TWOPASS_K", "2")
    monkeypatch.setenv("TWOPASS_RETRIEVER__B", "0.2")
    monkeypatch.setenv("TWOPASS_RETRIEVER__INDEX", "environment")
    settings = load_settings({"retriever.index": "argument", "retriever.analyzer": None})
    assert (settings.depth, settings.k) == (1, 2)
    assert settings.retriever.k1 == 1.0
    assert settings.retriever.b == 0.2
    assert settings.retriever.index == "argument"
    assert settings.retriever.analyzer == "english"


def test_the_file_that_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    write("k = 1\n")
    write("k = 2\n", "other.toml")
    write("k = 3\n", "third.toml")
    assert load_settings().k == 1
    monkeypatch.setenv("TWOPASS_CONFIG", "other.toml")
    assert load_settings().k == 2
    assert load_settings(config="third.toml").k == 3


def test_settings_themselves_read_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    write("k = 1\n")
    monkeypatch.setenv("TWOPASS_DEPTH", "7")
    assert Settings() == Settings(k=10, depth=100)


def test_a_formula_only_where_something_is_said_of_it() -> None:
    assert load_settings().retriever.scoring is None
    assert load_settings({"retriever.k1": 0.9}).retriever.scoring == Lucene(k1=0.9)
    assert load_settings({"retriever.formula": "okapi"}).retriever.scoring == Okapi()


def test_frozen() -> None:
    settings = load_settings()
    with pytest.raises(ValidationError):
        settings.k = 3
    with pytest.raises(ValidationError):
        settings.retriever.k1 = 3


def test_parameters_of_the_fusion(monkeypatch: pytest.MonkeyPatch) -> None:
    write('[fusion]\nmethod = "weighted"\nnormalizer = "z-score"\n')
    monkeypatch.setenv("TWOPASS_FUSION__WEIGHTS", "[0.3, 0.7]")
    assert load_settings().fusion.parameters == {"normalizer": "z-score", "weights": [0.3, 0.7]}


def test_numbers_of_the_fusion_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWOPASS_FUSION__METHOD", "rrf")
    monkeypatch.setenv("TWOPASS_FUSION__K", "20")
    assert load_settings() == load_settings({"fusion": {"method": "rrf", "k": 20}})


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("dept = 1", r"twopass\.toml: dept: no such setting; did you mean twopass\.toml: depth\?"),
        ("[retreiver]\nk1 = 1", r"retreiver\.k1: .* did you mean twopass\.toml: retriever\.k1\?"),
        ("[retriever]\nanalyser = 'x'", r"did you mean twopass\.toml: retriever\.analyzer\?"),
        ("zzz = 1", r"no such setting; known: retriever\."),
        ("depth = 0", r"twopass\.toml: depth: expected greater than or equal to 1, found 0"),
        ("depth = 'many'", r"twopass\.toml: depth: expected a valid integer, .*found 'many'"),
        ("[retriever]\nb = 1.5", r"twopass\.toml: retriever: b: expected a number from 0 to 1"),
        ("[retriever]\nformula = 'bm26'", r"scoring: expected one of lucene, okapi, l, plus"),
        ("[fusion]\nmethod = 'rff'", "fusion: unknown fusion method 'rff': expected one of"),
        ("[fusion]\nalpa = 1", "fusion: unknown parameter 'alpa' of fusion method 'weighted'"),
        ("[fusion]\nweights = [-1, 2]", "fusion: .*weights"),
        ("retriever = 5", r"twopass\.toml: retriever: expected a valid dictionary"),
        ("depth = ", r"twopass\.toml: expected TOML, found: Invalid value"),
    ],
)
def test_what_the_file_may_not_say(file: str, message: str) -> None:
    write(file)
    with pytest.raises(SettingsError, match=message):
        load_settings()


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        (
            "TWOPASS_DEPHT",
            "5",
            "variable TWOPASS_DEPHT: .* mean environment variable TWOPASS_DEPTH",
        ),
        ("TWOPASS_RETRIEVER__K", "5", "TWOPASS_RETRIEVER__K: .* TWOPASS_RETRIEVER__K1"),
        ("TWOPASS_RETRIEVER_INDEX", "x", "TWOPASS_RETRIEVER_INDEX: .* TWOPASS_RETRIEVER__INDEX"),
        ("TWOPASS_DEPTH", "x", "environment variable TWOPASS_DEPTH: .* found 'x'"),
        ("TWOPASS_RERANKER__MAX_LENGTH", "0", "TWOPASS_RERANKER__MAX_LENGTH: .* found '0'"),
        ("TWOPASS_RETRIEVER", "x", "environment: .*retriever.*JSON object"),
        ("TWOPASS_CONFIG", "absent.toml", r"absent\.toml: expected a TOML file .* none there"),
    ],
)
def test_what_the_environment_may_not_say(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, message: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError, match=message):
        load_settings()


def test_what_arguments_may_not_say() -> None:
    with pytest.raises(SettingsError, match=r"argument reranker\.modle: .* reranker\.model\?"):
        load_settings({"reranker.modle": "x"})
    with pytest.raises(SettingsError, match=r"argument k: .* found 0"):
        load_settings({"k": 0})
    with pytest.raises(SettingsError, match="depth is both a value and a section"):
        load_settings({"depth": 5, "depth.x": 6})


def test_secrets_are_not_shown() -> None:
    settings = load_settings({"retriever.password": "hunter2"})
    assert "hunter2" not in repr(settings)
    with pytest.raises(SettingsError, match=r"argument retriever\.password: ") as caught:
        load_settings({"retriever.password": 123456})
    assert "123456" not in str(caught.value)


def test_every_problem_is_named_with_its_source(monkeypatch: pytest.MonkeyPatch) -> None:
    write("k = 0\n")
    monkeypatch.setenv("TWOPASS_DEPTH", "0")
    with pytest.raises(SettingsError, match="; ") as caught:
        load_settings()
    assert "twopass.toml: k" in str(caught.value)
    assert "environment variable TWOPASS_DEPTH" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("variable", ["TWOPASS_DATA", "TWOPASS_TEST_SERVER", "TWOPASS_DEPTH"])
def test_variables_that_say_nothing_of_settings(
    monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, "" if variable == "TWOPASS_DEPTH" else "x")
    assert load_settings() == Settings()
