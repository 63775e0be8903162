"""An Elasticsearch of its own: encrypted, with a password, killed and started again."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import trustme
from conftest import started
from servers import ELASTICSEARCH, Server

from twopass.pipeline.apps.assembly import build_connection
from twopass.pipeline.apps.settings import load_settings
from twopass.retriever.corpus.documents import Document
from twopass.retriever.elastic import (
    Connection,
    ElasticsearchRetriever,
    connect,
    load_documents,
    read_documents,
)
from twopass.retriever.errors import UnauthorizedError, UnreachableError

from .watching import Loader, Watcher

pytestmark = pytest.mark.server

PASSWORD = "a-right-password"
SETTINGS = {
    "xpack.security.enabled": "true",
    "xpack.security.http.ssl.enabled": "true",
    "xpack.security.http.ssl.key": "http.key",
    "xpack.security.http.ssl.certificate": "http.crt",
}


@dataclass(frozen=True)
class Secured:
    """The server, and the file of the authority that signed its certificate."""

    server: Server
    authority: Path

    def connect(self, user: str = "elastic", password: str = PASSWORD) -> Connection:
        return connect(self.server.url, **self.options(user, password), retries=0)

    def options(self, user: str = "elastic", password: str = PASSWORD) -> dict[str, Any]:
        return {"ca_certs": str(self.authority), "basic_auth": (user, password)}


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    files = {
        "http.key": certificate.private_key_pem.bytes(),
        "http.crt": b"".join(blob.bytes() for blob in certificate.cert_chain_pems),
    }
    path = tmp_path_factory.mktemp("authority") / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    server = Server(ELASTICSEARCH, SETTINGS, heap="400m", password=PASSWORD, files=files)
    with started(server):
        yield Secured(server, path)


def health(connection: Connection) -> str:
    try:
        return str(connection.request("GET", "/_cluster/health")["status"])
    finally:
        connection.close()


def test_the_right_password(secured: Secured) -> None:
    assert health(secured.connect()) == "green"


@pytest.mark.parametrize(("user", "password"), [("elastic", "wrong"), ("nobody", PASSWORD)])
def test_a_wrong_one(secured: Secured, user: str, password: str) -> None:
    with pytest.raises(UnauthorizedError, match="401: unable to authenticate user"):
        health(secured.connect(user, password))


def test_none(secured: Secured) -> None:
    with pytest.raises(UnauthorizedError, match="401: missing authentication credentials"):
        health(connect(secured.server.url, ca_certs=str(secured.authority)))


def test_a_wrong_password_in_a_search_is_told_by_its_type(secured: Secured) -> None:
    retriever = ElasticsearchRetriever(secured.server.url, "i", **secured.options(password="no"))
    with pytest.raises(UnauthorizedError):
        retriever.search(["cat"], 1)
    retriever.close()


def test_user_password_and_authority_from_the_settings(secured: Secured) -> None:
    named = {"url": secured.server.url, "username": "elastic", "password": PASSWORD}
    named["ca_certs"] = str(secured.authority)
    settings = load_settings({f"retriever.{name}": value for name, value in named.items()})
    assert health(build_connection(settings, "elasticsearch")) == "green"


def test_an_api_key_from_the_settings_reaches_the_server(secured: Secured) -> None:
    """The server of the tests can make no keys, but names the one that it has looked for."""
    named = {"url": secured.server.url, "ca_certs": str(secured.authority)}
    named["api_key"] = base64.b64encode(b"the-id-of-a-key:secret").decode()
    settings = load_settings({f"retriever.{name}": value for name, value in named.items()})
    with pytest.raises(UnauthorizedError, match="answered 401") as refused:
        health(build_connection(settings, "elasticsearch"))
    told = str(getattr(refused.value.__cause__, "body", ""))
    assert "apikey authentication for id the-id-of-a-key encountered a failure" in told


def test_an_authority_that_is_not_trusted(secured: Secured) -> None:
    made = connect(secured.server.url, basic_auth=("elastic", PASSWORD), retries=0)
    with pytest.raises(UnreachableError, match="name its authority's file as ca_certs"):
        health(made)


def test_killed_and_started_again(secured: Secured) -> None:
    anchors = [Document(f"a{number}", "anchor") for number in range(50)]
    others = [Document(f"d{number}", "cat") for number in range(6_000)]
    connection = secured.connect()
    load_documents(connection, "killed", anchors, analysis={})
    loader = Loader(connection, "killed", others, first_wait=2)
    url = secured.server.url
    retriever = ElasticsearchRetriever(url, "killed", **secured.options(), retries=0)
    with Watcher(retriever, "anchor", 100) as watcher:
        loader.start()
        assert loader.middle.wait(60)
        secured.server.kill()
        down = len(watcher.answers)
        secured.server.start()
        loader.join()
    assert loader.outcomes == [(document.id, "") for document in others]
    connection.request("POST", "/killed/_refresh")
    ids = sorted(document.id for document in read_documents(connection, "killed"))
    assert ids == sorted(document.id for document in [*anchors, *others])
    watcher.check({document.id for document in anchors})
    assert watcher.failures > 0
    assert 0 < down < len(watcher.answers)
    retriever.close()
    connection.close()
