"""What every request meets, whatever it asks for."""

from __future__ import annotations

import socket

import numpy as np
import pytest

from twopass.pipeline.apps.sidecar.keys import hash_key, key_in, matches, new_key
from twopass.pipeline.apps.sidecar.service import Sidecar
from twopass.pipeline.errors import SettingsError
from twopass.retriever.errors import UnreachableError

from .running import Running, running, settings


class Zeros:
    def predict(self, pairs):
        return np.zeros(len(pairs), dtype=np.float32)


class Gone:
    def search(self, queries, k, *, filter=None):  # noqa: ARG002
        raise UnreachableError("expected an answer from http://localhost:1, found none")


def test_health_and_readiness(server: Running) -> None:
    assert server.client.get("/healthz").json() == {"status": "ok"}
    ready = server.client.get("/readyz")
    assert ready.status_code == 200
    assert ready.json()["checks"] == {"model": "ok", "index": "ok"}


def test_readiness_says_what_is_wrong_and_health_does_not_care() -> None:
    with running(Sidecar(settings(), Zeros(), Gone())) as server:
        ready = server.client.get("/readyz")
        assert ready.status_code == 503
        assert "localhost:1" in ready.json()["checks"]["index"]
        assert server.client.get("/healthz").status_code == 200


class TestRequestIds:
    def test_one_that_is_given_comes_back(self, server: Running) -> None:
        answer = server.client.get("/healthz", headers={"X-Request-Id": "abc-1"})
        assert answer.headers["x-request-id"] == "abc-1"

    @pytest.mark.parametrize("given", ["", "a b", "x" * 129, "ä"])
    def test_one_that_could_harm_a_log_is_replaced(self, server: Running, given: str) -> None:
        headers = [(b"x-request-id", given.encode())]
        answer = server.client.get("/healthz", headers=headers)
        assert len(answer.headers["x-request-id"]) == 32


def test_an_unknown_path_is_a_json_error(server: Running) -> None:
    answer = server.client.get("/nothing/here")
    assert answer.status_code == 404
    assert "/nothing/here" in answer.json()["error"]["message"]


@pytest.mark.parametrize("path", ["/search", "/rerank", "/v2/rerank"])
def test_a_body_nested_deeply_is_the_callers_mistake(server: Running, path: str) -> None:
    answer = server.client.post(path, content=b"[" * 100_000)
    assert 400 <= answer.status_code < 500
    assert len(answer.text) < 1_000


class TestMetrics:
    def test_requests_are_counted_by_route(self, server: Running) -> None:
        server.client.get("/healthz")
        text = server.client.get("/metrics").text
        assert 'twopass_request_seconds_count{method="GET",route="/healthz",status="200"}' in text

    def test_methods_of_callers_own_make_no_series(self, server: Running) -> None:
        assert server.client.request("X" * 5_000, "/search").status_code == 405
        text = server.client.get("/metrics").text
        assert "XXXX" not in text
        assert 'method="other"' in text

    def test_unknown_paths_make_no_series(self, server: Running) -> None:
        server.client.get("/who/knows/nobody")
        text = server.client.get("/metrics").text
        assert "nobody" not in text


class TestKeys:
    def test_a_key_matches_its_hash_alone(self) -> None:
        one, other = new_key(), new_key()
        hashed = [hash_key(one), hash_key(new_key())]
        assert matches(one, hashed)
        assert not matches(other, hashed)
        assert one not in hashed[0]
        assert hash_key(one) != hashed[0]  # another salt

    def test_a_short_key_is_refused(self) -> None:
        with pytest.raises(SettingsError, match="24 characters"):
            hash_key("secret")

    @pytest.mark.parametrize(
        ("headers", "key"),
        [
            ({"authorization": "Bearer k"}, "k"),
            ({"authorization": "ApiKey k"}, "k"),
            ({"authorization": "Basic k"}, None),
            ({"authorization": "Bearer "}, None),
            ({"x-api-key": "a", "authorization": "Bearer k"}, "a"),
            ({"api-key": "a"}, "a"),
            ({}, None),
        ],
    )
    def test_where_it_is_found(self, headers: dict[str, str], key: str | None) -> None:
        assert key_in(headers) == key

    def test_without_one_only_health_answers(self) -> None:
        keys = new_key(), new_key()
        sidecar = Sidecar(settings(api_keys=tuple(map(hash_key, keys))), Zeros())
        with running(sidecar) as server:
            refused = server.client.get("/metrics")
            assert refused.status_code == 401
            assert refused.headers["www-authenticate"] == "Bearer"
            assert server.client.get("/healthz").status_code == 200
            for key in keys:
                headers = {"Authorization": f"Bearer {key}"}
                assert server.client.get("/metrics", headers=headers).status_code == 200
            wrong = {"Authorization": f"Bearer {new_key()}"}
            assert server.client.get("/metrics", headers=wrong).status_code == 401

    def test_what_is_no_hash_is_refused_unseen(self) -> None:
        with pytest.raises(ValueError, match="--hash-key") as caught:
            settings(api_keys=("my secret key",))
        assert "twopass serve" in str(caught.value)


def test_a_client_that_leaves_at_once_harms_nobody(server: Running) -> None:
    host, port = server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert server.client.get("/healthz").status_code == 200
