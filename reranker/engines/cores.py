"""What the processor at hand can do side by side."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["cores", "weight_bits"]

_INFO = Path("/proc/cpuinfo")
_WIDE_SUMS = {"avx512_vnni", "avx_vnni", "asimddp"}
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


def weight_bits() -> int:
    """Return how many bits a weight may have in a product of integers of eight bits.

    Processors with instructions for such products sum them in 32 bits. AVX2 has none: it sums two
    products of an unsigned and a signed number in 16 bits, which overflow from 8 by 8 bits on.
    """
    try:
        known = _WIDE_SUMS & set(_INFO.read_text().split())
    except OSError:
        known = set()
    return 8 if known else 7


def _siblings(cpu: int) -> str:
    """Name the core that a processor is on."""
    try:
        return (_TOPOLOGY / f"cpu{cpu}" / "topology" / "thread_siblings_list").read_text()
    except OSError:
        return str(cpu)
