"""Two processes that train together, on the CPU: the steps of one, and no mark of a stop."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from twopass.reranker.training.workers import SINGLE, Workers, joined

from .training_together import PLAIN, train

pytestmark = pytest.mark.slow

IDLE = ("key.bias", "classifier.bias")  # no gradient but rounding, which AdamW makes large
SCRIPT = Path(__file__).with_name("training_together.py")


@pytest.fixture(scope="module")
def together(tiny, tmp_path_factory) -> Path:
    """What two processes left behind that trained three times."""
    out = tmp_path_factory.mktemp("together")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2"}
    running = [
        subprocess.Popen(
            [sys.executable, str(SCRIPT), str(tiny("bert")), str(out)],
            env={**os.environ, **address, "RANK": str(rank), "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in range(2)
    ]
    for process in running:
        said, _ = process.communicate()
        assert process.returncode == 0, said
    return out


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return torch.load(folder / "weights.pt", weights_only=True)


def test_two_processes_make_the_steps_of_one(together, tiny, tmp_path):
    train(tiny("bert"), tmp_path, PLAIN, SINGLE)
    one, two = weights(tmp_path), weights(together / "plain")
    for name, value in one.items():
        if not name.endswith(IDLE):
            torch.testing.assert_close(two[name], value, atol=5e-5, rtol=1e-3)
    logs = [
        [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
        for folder in (tmp_path, together / "plain")
    ]
    losses = [[line["loss"] for line in log if "loss" in line] for log in logs]
    assert len(losses[0]) == 5
    np.testing.assert_allclose(losses[1], losses[0], atol=1e-4)


def test_an_interruption_of_one_process_stops_all_and_changes_nothing(together):
    """Dropout is on: random numbers go on where they were."""
    whole, cut = weights(together / "whole"), weights(together / "cut")
    assert all(torch.equal(value, cut[name]) for name, value in whole.items())
    logs = [(together / run / "log.jsonl").read_text().splitlines() for run in ("whole", "cut")]
    steps = [[json.loads(line)["step"] for line in log] for log in logs]
    assert steps[0] == steps[1]
    assert len(steps[0]) == len(set(steps[0])) + 1  # the last step has a loss and a value
    assert not any(
        torch.equal(value, weights(together / "plain")[name]) for name, value in whole.items()
    )


def test_one_process_is_alone(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with joined("cpu") as (workers, device):
        assert (workers, device) == (SINGLE, "cpu")
    rows = np.arange(5)
    assert workers.part(rows, np.array([3, 1, 5, 4, 2])) is rows


def test_processes_have_parts_of_about_one_size():
    rows, sizes = np.array([7, 3, 9, 1, 5]), np.array([30, 10, 50, 40, 20])
    parts = [Workers(rank, 2).part(rows, sizes).tolist() for rank in range(2)]
    assert parts == [[9, 5, 3], [1, 7]]
