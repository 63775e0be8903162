"""How many threads do work side by side here."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["cores"]

_TOPOLOGY = Path("/sys/devices/system/cpu")


def cores() -> int:
    """Return how many processor cores this process may use, at least one.

    ``OMP_NUM_THREADS`` says it where it is set, as for torch. Two threads of one core share its
    arithmetic units, so they count once.
    """
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    if wanted.isdecimal() and int(wanted) > 0:
        return int(wanted)
    if not hasattr(os, "sched_getaffinity"):
        return os.cpu_count() or 1
    return len({_siblings(cpu) for cpu in os.sched_getaffinity(0)})


def _siblings(cpu: int) -> str:
    """Name the core that a processor is on."""
    try:
        return (_TOPOLOGY / f"cpu{cpu}" / "topology" / "thread_siblings_list").read_text()
    except OSError:
        return str(cpu)
