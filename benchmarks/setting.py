"""What figures were measured on: day, processor, Python and the libraries' versions, in a line."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

__all__ = ["setting"]


def setting(*libraries: str, device: str = "cpu") -> str:
    """Return it, with the GPU's name where the device is one."""
    machine = f"{_processor()}, {os.cpu_count()} cores"
    if device != "cpu":
        import torch

        machine = f"{torch.cuda.get_device_name()}, {machine}"
    named = ", ".join(f"{name} {version(name)}" for name in ("twopass", *libraries))
    return f"{datetime.now(UTC):%Y-%m-%d}; {machine}; Python {platform.python_version()}; {named}"


def _processor() -> str:
    """Name the processor, and what of it matters for products of matrices."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor() or platform.machine()
    fields = dict(part.split(":", 1) for part in text.splitlines() if ":" in part)
    named = {key.strip(): value.strip() for key, value in fields.items()}
    flags = set(named.get("flags", "").split())
    wide = sorted(flags & {"avx2", "avx512f", "avx512_bf16", "avx512_vnni", "amx_bf16"})
    return f"{named.get('model name', platform.machine())} ({' '.join(wide)})"
