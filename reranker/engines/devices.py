"""Which device there is, without loading what would run on it."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

__all__ = ["is_cpu", "named"]

# what the drivers of NVIDIA (on Linux and under Windows' own Linux) and AMD put there
_DRIVERS = ("/dev/nvidiactl", "/dev/dxg", "/dev/kfd")


def named(device: str | Sequence[str] | None) -> list[str]:
    """Return the devices that are meant: a name, several in a list or between commas, or none."""
    if device is None:
        return []
    names = device.split(",") if isinstance(device, str) else list(device)
    return [name.strip() for name in names]


def is_cpu(device: str | None) -> bool:
    """Say whether models will run on the CPU: by name, or for want of a GPU's driver.

    Where there is a driver, torch is to be asked whether it can use it.
    """
    if device is not None:
        return device == "cpu"
    if os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1"):
        return True
    return sys.platform == "linux" and not any(Path(driver).exists() for driver in _DRIVERS)
