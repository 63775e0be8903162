"""A sidecar that really listens, in a thread of the tests' own process."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx
import uvicorn

from twopass.pipeline.apps.settings import Settings
from twopass.pipeline.apps.sidecar.app import create_app
from twopass.pipeline.apps.sidecar.service import Sidecar


@dataclass(frozen=True)
class Running:
    url: str
    sidecar: Sidecar
    client: httpx.Client


@contextmanager
def running(sidecar: Sidecar) -> Iterator[Running]:
    """Serve on a free port of the loopback until the block ends."""
    app = create_app(sidecar.settings, sidecar)
    config = uvicorn.Config(
        app, port=0, log_config=None, access_log=False, lifespan="on", timeout_keep_alive=75
    )
    server = uvicorn.Server(config)
    socket = config.bind_socket()
    thread = threading.Thread(target=server.run, kwargs={"sockets": [socket]})
    thread.start()
    url = f"http://127.0.0.1:{socket.getsockname()[1]}"
    try:
        with httpx.Client(base_url=url, timeout=60, trust_env=False) as client:
            _await(client, thread)
            yield Running(url, sidecar, client)
    finally:
        server.should_exit = True
        thread.join()
        socket.close()


def _await(client: httpx.Client, thread: threading.Thread) -> None:
    """The socket listens only when the application is there; connections wait for it."""
    while thread.is_alive():
        try:
            client.get("/healthz")
        except httpx.ConnectError:
            continue
        return
    raise RuntimeError("the sidecar ended before it listened")


def settings(**serve: object) -> Settings:
    return Settings.model_validate({"serve": serve})
