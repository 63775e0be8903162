"""What the settings say of a server, and how it reaches one."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from faults import Answer, FaultyServer, serving

from twopass.pipeline.apps.assembly import build_connection, build_retriever
from twopass.pipeline.apps.settings import load_settings
from twopass.pipeline.errors import SettingsError
from twopass.retriever.elastic import IndexFields

TEMPLATE = {"bool": {"must": [{"match": {"body": "{query}"}}]}}


@pytest.fixture(autouse=True)
def _nothing_around(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in [name for name in os.environ if name.upper().startswith("TWOPASS_")]:
        monkeypatch.delenv(variable)
    monkeypatch.chdir(tmp_path)


def test_fields_are_ours_unless_named() -> None:
    assert load_settings().retriever.index_fields == IndexFields()


@pytest.mark.parametrize("given", ["title^2, body", ["title^2", "body"]])
def test_names_with_commas_or_in_a_list(given: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = ("title^2", "body")
    named = {"retriever.search_fields": given, "retriever.metadata_field": ""}
    fields = load_settings(named).retriever.index_fields
    assert (fields.search, fields.metadata) == (expected, "")
    variable = given if isinstance(given, str) else json.dumps(given)
    monkeypatch.setenv("TWOPASS_RETRIEVER__SEARCH_FIELDS", variable)
    assert load_settings().retriever.index_fields.search == expected


def test_a_template_as_a_table_or_as_json(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("twopass.toml").write_text("[[retriever.template.bool.must]]\nmatch.body = '{query}'\n")
    assert load_settings().retriever.template == TEMPLATE
    Path("twopass.toml").unlink()
    monkeypatch.setenv("TWOPASS_RETRIEVER__TEMPLATE", json.dumps(TEMPLATE))
    found = load_settings().retriever.template
    assert (json.loads(found) if isinstance(found, str) else found) == TEMPLATE


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("template", '{"match": {"a": "b"}}', "template: expected '{query}'"),
        ("template", "match", "template: expected JSON"),
        ("search_fields", "title^x", "expected a field as title or title^2"),
        ("text_fields", " , ", "text: expected a tuple of one or more fields"),
        ("shards", "0", "expected greater than or equal to 1"),
        ("timeout", "0", "expected greater than 0"),
    ],
)
def test_mistakes_are_told_by_their_name(name: str, value: str, message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings({f"retriever.{name}": value})
    assert "retriever" in str(caught.value)
    assert message in str(caught.value)


def test_one_template_replaces_another(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("twopass.toml").write_text("retriever.template.match.body = '{query}'\n")
    monkeypatch.setenv("TWOPASS_RETRIEVER__TEMPLATE", json.dumps(TEMPLATE))
    assert load_settings().retriever.template == TEMPLATE


def test_no_server() -> None:
    with pytest.raises(SettingsError, match=r"retriever\.url: expected a server's address"):
        build_retriever(load_settings({"retriever.kind": "elasticsearch", "retriever.index": "i"}))


class Listener(FaultyServer):
    """Takes any key: the servers of the tests know none."""

    def answer(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        del headers
        product = {"Content-Type": "application/json", "X-Elastic-Product": "Elasticsearch"}
        return 200, product, json.dumps([method, path, len(body)]).encode()


@pytest.mark.parametrize(
    ("engine", "settings", "header"),
    [
        ("elasticsearch", {"api_key": "aWQ6a2V5"}, "ApiKey aWQ6a2V5"),
        ("elasticsearch", {"username": "u", "password": "p"}, "Basic dTpw"),
        ("opensearch", {"username": "u", "password": "p"}, "Basic dTpw"),
    ],
)
def test_who_asks_is_sent(engine: Any, settings: dict[str, str], header: str) -> None:
    named = {f"retriever.{name}": value for name, value in settings.items()}
    with serving(Listener()) as listener:
        connection = build_connection(
            load_settings({**named, "retriever.url": listener.url}), engine
        )
        connection.request("GET", "/_cluster/health")
        connection.close()
        sent = {name.lower(): value for name, value in listener.headers.items()}
    assert sent["authorization"] == header
