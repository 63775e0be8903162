"""Callers of different rights, all at once: each gets what the server gives to it alone."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from conftest import started
from servers import ELASTICSEARCH, Server

from ..running import Running
from .engines import Start

pytestmark = pytest.mark.server

PASSWORD = "a-right-password"
USERS = ("ann", "bob", "eve")  # eve may search nothing
QUERY = {"match": {"text": "report"}}


def _hashed(password: str) -> str:
    return "{SHA}" + base64.b64encode(hashlib.sha1(password.encode()).digest()).decode()


# The server of the tests cannot keep users in an index, so files name them.
FILES = {
    "users": "".join(f"{user}:{_hashed(f'password-of-{user}')}\n" for user in USERS),
    "users_roles": "".join(f"{user}:{user}\n" for user in USERS),
    "roles.yml": "".join(
        f"{user}: {{indices: [{{names: [{index}], privileges: [read]}}]}}\n"
        for user, index in {"ann": "of-ann", "bob": "of-bob", "eve": "nothing"}.items()
    ),
}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """An Elasticsearch that asks who is there; an index for each user, that eve may not read."""
    files = {name: content.encode() for name, content in FILES.items()}
    security = {"xpack.security.enabled": "true"}
    server = Server(ELASTICSEARCH, security, heap="400m", password=PASSWORD, files=files)
    with started(server):
        with httpx.Client(base_url=server.url, auth=("elastic", PASSWORD), timeout=60) as client:
            for user in USERS:
                _fill(client, user)
        yield server


@pytest.fixture(scope="module")
def secured(server: Server) -> str:
    return server.url


def _fill(client: httpx.Client, user: str) -> None:
    lines = [
        json.dumps(line)
        for number in range(30)
        for line in (
            {"index": {"_index": f"of-{user}", "_id": f"{user}-{number}"}},
            {"text": f"report {number} that only {user} may read", "owner": user},
        )
    ]
    kind = {"content-type": "application/x-ndjson"}
    content = "\n".join(lines) + "\n"
    client.post("/_bulk?refresh=true", content=content, headers=kind).raise_for_status()


def check(user: str, answer: httpx.Response) -> None:
    """Hold an answer to be of what one user may see, and of nothing else."""
    assert answer.status_code == 200
    found = answer.json().get("responses", [answer.json()])[0]
    assert len(found["hits"]["hits"]) == 0 if user == "eve" else len(found["hits"]["hits"]) > 0
    assert {hit["_index"] for hit in found["hits"]["hits"]} <= {f"of-{user}"}
    check_silence(user, answer)


def check_silence(user: str, answer: httpx.Response) -> None:
    """Hold an answer, or an error, to name nothing of the others."""
    others = set(USERS) - {user}
    assert not any(f"{other}-" in answer.text or f"of-{other}" in answer.text for other in others)


def as_user(user: str) -> httpx.BasicAuth:
    return httpx.BasicAuth(user, f"password-of-{user}")


@pytest.fixture(scope="module")
def proxy(secured: str, start: Start) -> Running:
    return start(secured, rerank={"window_size": 30, "deadline": 30}, allow=["_count"])


def test_nobody_sees_the_documents_of_another(proxy: Running) -> None:
    async def ask(client: httpx.AsyncClient, user: str, number: int) -> httpx.Response:
        body = {"query": QUERY, "size": 1 + number % 30, "_source": number % 2 == 0}
        if number % 5 == 0:
            body |= {"rescore": {"neural": {"query": f"report {number}", "details": True}}}
        if number % 3:  # what one may see of all indices by a pattern
            return await client.post("/of-*/_search", json=body, auth=as_user(user))
        lines = "\n".join(json.dumps(line) for line in ({"index": "of-*"}, body)) + "\n"
        kind = {"content-type": "application/x-ndjson"}
        return await client.post("/_msearch", content=lines, headers=kind, auth=as_user(user))

    async def ask_all() -> list[tuple[str, httpx.Response]]:
        async with httpx.AsyncClient(base_url=proxy.url, timeout=60) as client:
            users = [USERS[number % len(USERS)] for number in range(90)]
            work = (ask(client, user, number) for number, user in enumerate(users))
            return list(zip(users, await asyncio.gather(*work), strict=True))

    for user, answer in asyncio.run(ask_all()):
        check(user, answer)


@pytest.mark.parametrize("user", ["bob", "eve"])
def test_rights_that_are_missing_are_the_servers_403(
    proxy: Running, secured: str, user: str
) -> None:
    for base in (proxy.url, secured):
        answer = httpx.post(f"{base}/of-ann/_search", json={"query": QUERY}, auth=as_user(user))
        assert answer.status_code == 403
        assert answer.json()["error"]["type"] == "security_exception"


@pytest.mark.parametrize("auth", [None, ("ann", "wrong"), ("nobody", "wrong")])
def test_callers_that_are_not_known_are_the_servers_401(
    proxy: Running, auth: tuple[str, str] | None
) -> None:
    answers = [
        proxy.client.post("/of-ann/_search", json={"query": QUERY}, auth=auth),
        proxy.client.post("/of-ann/_count", auth=auth),
    ]
    for answer in answers:
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith("Basic")
        assert "only ann" not in answer.text


def test_a_password_just_used_is_not_lent_to_the_next(proxy: Running) -> None:
    for _ in range(5):
        known = proxy.client.post("/of-ann/_search", json={"query": QUERY}, auth=as_user("ann"))
        assert known.json()["_twopass"]["status"] == "complete"
        unknown = proxy.client.post("/of-ann/_search", json={"query": QUERY})
        assert unknown.status_code == 401


def test_with_its_own_credentials_nothing_of_the_callers_goes_on(
    secured: str, start: Start
) -> None:
    own: dict[str, Any] = {"username": "bob", "password": "password-of-bob", "credentials": "own"}
    proxy = start(secured, **own)
    body = {"query": QUERY}
    for headers in ({}, {"es-security-runas-user": "ann"}):
        answer = proxy.client.post("/of-*/_search", json=body, headers=headers, auth=as_user("ann"))
        assert {hit["_index"] for hit in answer.json()["hits"]["hits"]} == {"of-bob"}


@pytest.mark.parametrize("own", [False, True])
def test_an_api_key_reaches_the_server(secured: str, start: Start, own: bool) -> None:
    """The server of the tests can make no keys, but names the one that it has looked for."""
    of_caller, of_proxy = (
        base64.b64encode(f"key-of-{who}:secret".encode()).decode() for who in ("caller", "proxy")
    )
    settings: dict[str, Any] = {"credentials": "own", "api_key": of_proxy} if own else {}
    answer = start(secured, **settings).client.post(
        "/of-ann/_search",
        json={"query": QUERY},
        headers={"authorization": f"ApiKey {of_caller}"},
    )
    assert answer.status_code == 401
    assert "ApiKey" in answer.headers.get_list("www-authenticate")
    looked_for = f"apikey authentication for id key-of-{'proxy' if own else 'caller'} "
    assert looked_for in answer.text


def test_a_server_killed_under_load_and_started_again(server: Server, proxy: Running) -> None:
    """Nobody gets what is another's, before, while it is away, or after; then all is as before."""
    back, seen = threading.Event(), {user: set[int]() for user in USERS}

    async def ask(client: httpx.AsyncClient, user: str) -> None:
        answered = 0  # since it is back
        while answered < 3:
            returned = back.is_set()
            answer = await client.post(
                "/of-*/_search", json={"query": QUERY, "size": 5}, auth=as_user(user)
            )
            seen[user].add(answer.status_code)
            if answer.status_code == 200:
                check(user, answer)
                answered += returned
            else:
                assert answer.status_code in (502, 503)
                assert answer.json()["error"]["reason"]
                check_silence(user, answer)
                await asyncio.sleep(0.05)

    def interrupt() -> None:
        time.sleep(0.5)
        server.kill()
        time.sleep(0.5)
        server.start()
        with httpx.Client(base_url=server.url, auth=("elastic", PASSWORD), timeout=60) as client:
            wait = "/_cluster/health/of-ann,of-bob,of-eve?wait_for_status=yellow&timeout=60s"
            client.get(wait).raise_for_status()
        back.set()

    async def load() -> None:
        async with httpx.AsyncClient(base_url=proxy.url, timeout=60) as client:
            callers = (ask(client, user) for user in USERS * 3)
            await asyncio.gather(asyncio.to_thread(interrupt), *callers)

    asyncio.run(load())
    for user in USERS:
        assert 200 in seen[user]
        assert seen[user] & {502, 503}
