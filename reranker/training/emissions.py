"""The machine of a training, and its energy and emissions as codecarbon estimates them."""

from __future__ import annotations

import os
import platform
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from twopass.reranker.contract.errors import RecipeError

__all__ = [
    "Emissions",
    "Measured",
    "check_country",
    "machine",
    "measured",
]


def machine() -> str:
    """Return the processor's name, its cores and the GPU's name."""
    import torch

    words = f"{_processor()}, {os.cpu_count()} cores, {torch.get_num_threads()} in use"
    if torch.cuda.is_available():
        words += f", {torch.cuda.get_device_name()}"
    return words


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


# Named, because what is not is taken from CODECARBON_* and .codecarbon.config, which may send.
_NOTHING_SENT: dict[str, Any] = {
    "output_methods": [],
    "emissions_endpoint": None,
    "electricitymaps_api_token": "",
}


@dataclass(frozen=True, slots=True)
class Emissions:
    """An estimate by codecarbon.

    Attributes:
        energy: kWh of processors, GPUs and memory.
        carbon: kg of CO2 equivalents, by the country's mean mix of electricity.
        seconds: duration of the measurement.
        country: three-letter ISO code of where the machine is.
        cpu: the processor's name.
        gpu: the GPUs' names; empty if there are none.
        memory: GB.
        version: codecarbon's.

    """

    energy: float
    carbon: float
    seconds: float
    country: str
    cpu: str
    gpu: str
    memory: float
    version: str


@dataclass(slots=True)
class Measured:
    """Holds the estimate when the block has ended; None if nothing was measured."""

    emissions: Emissions | None = None


@contextmanager
def measured(country: str | None) -> Iterator[Measured]:
    """Measure the energy that this machine uses during the block.

    codecarbon reads the processor's energy counters if it may, else it estimates from the
    processor's rated power and load. Nothing is sent or looked up on the network.

    Args:
        country: three-letter ISO code, as "DEU"; None measures nothing.

    Raises:
        RecipeError: when codecarbon is missing, or the country is unknown.

    """
    held = Measured()
    if country is None:
        yield held
        return
    check_country(country)
    tracker = _tracker(country)
    tracker.start()
    try:
        yield held
    finally:
        tracker.stop()
        held.emissions = _read(tracker.final_emissions_data, country)


def check_country(country: str | None) -> None:
    """Check, before hours of work, that emissions can be measured for a country (None: no check).

    Raises:
        RecipeError: when codecarbon is missing or the country is unknown.

    """
    if country is None:
        return
    if find_spec("codecarbon") is None:
        raise RecipeError(
            "emissions: expected codecarbon, which is not installed; "
            "pip install 'twopass[train]', or remove --country"
        )
    import pycountry

    if pycountry.countries.get(alpha_3=country.upper()) is None:
        raise RecipeError(
            f"emissions: expected a country's ISO code of three letters, as DEU, found {country!r}"
        )


def _tracker(country: str) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from codecarbon import OfflineEmissionsTracker

        return OfflineEmissionsTracker(
            country_iso_code=country.upper(),
            **_NOTHING_SENT,
            log_level="error",
            allow_multiple_runs=True,
            tracking_mode="machine",
        )


def _read(data: Any, country: str) -> Emissions:
    return Emissions(
        energy=float(data.energy_consumed),
        carbon=float(data.emissions),
        seconds=float(data.duration),
        country=country.upper(),
        cpu=str(data.cpu_model or ""),
        gpu=str(data.gpu_model or ""),
        memory=float(data.ram_total_size),
        version=str(data.codecarbon_version),
    )
