"""What the machine has.

Cores, instructions, and devices, without loading what would run on them.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

__all__ = [
    "cores",
    "device_names",
    "is_cpu",
    "weight_bits",
]


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


# what the drivers of NVIDIA (on Linux and under Windows' own Linux) and AMD put there
_DRIVERS = ("/dev/nvidiactl", "/dev/dxg", "/dev/kfd")


def device_names(device: str | Sequence[str] | None) -> list[str]:
    """Return the devices that are meant: a name, several in a list or between commas, or none."""
    if device is None:
        return []
    names = device.split(",") if isinstance(device, str) else list(device)
    return [name.strip() for name in names]


def is_cpu(device: str | None) -> bool:
    """Say whether models will run on the CPU: by name, or for want of a GPU's driver.

    Where there is a driver, only torch knows whether it can use it.
    """
    if device is not None:
        return device == "cpu"
    if os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1"):
        return True
    return sys.platform == "linux" and not any(Path(driver).exists() for driver in _DRIVERS)
