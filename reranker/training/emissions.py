"""Energy and emissions of a training, as codecarbon estimates them, without the network."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from reranker.training.errors import RecipeError

__all__ = ["Emissions", "Measured", "measured"]

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Emissions:
    """An estimate by codecarbon.

    Attributes:
        energy: kWh of processors, GPUs and memory.
        carbon: kg of CO2 equivalents, by the country's mean mix of electricity.
        seconds: how long was measured.
        country: ISO code of three letters; where the machine is said to stand.
        cpu: the processor's name.
        gpu: the GPUs', empty where there is none.
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
    """Filled when the block ends; None where codecarbon is not installed."""

    emissions: Emissions | None = None


@contextmanager
def measured(country: str | None) -> Iterator[Measured]:
    """Measure what happens inside, in this process's machine.

    codecarbon reads the processor's energy counters where it may, else it estimates from the
    processor's rated power and load. Nothing is sent or looked up on the network.

    Args:
        country: ISO code of three letters, as "DEU"; None measures nothing.

    Raises:
        RecipeError: when a country is named and codecarbon is missing or does not know it.

    """
    held = Measured()
    if country is None:
        yield held
        return
    tracker = _tracker(country)
    tracker.start()
    try:
        yield held
    finally:
        tracker.stop()
        held.emissions = _read(tracker.final_emissions_data, country)


def _tracker(country: str) -> Any:
    if find_spec("codecarbon") is None:
        raise RecipeError(
            "emissions: expected codecarbon, which is not installed; "
            "pip install 'twopass[train]', or leave --country out"
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from codecarbon import OfflineEmissionsTracker
        from codecarbon.external.geography import GeoMetadata

        del GeoMetadata
        try:
            return OfflineEmissionsTracker(
                country_iso_code=country.upper(),
                save_to_file=False,
                log_level="error",
                allow_multiple_runs=True,
                tracking_mode="machine",
            )
        except Exception as error:
            raise RecipeError(
                f"emissions: expected a country's ISO code of three letters, found {country!r} "
                f"({error})"
            ) from error


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
