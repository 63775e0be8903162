"""Metadata filters: a small algebra that every retriever evaluates in its own way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

__all__ = ["And", "Equal", "Exists", "Filter", "In", "Not", "Or", "Range", "Value"]

Value: TypeAlias = str | int | float | bool


@dataclass(frozen=True, slots=True)
class Equal:
    """Documents whose field has this value (or a list that contains it)."""

    field: str
    value: Value


@dataclass(frozen=True, slots=True)
class In:
    """Documents whose field has one of these values."""

    field: str
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Range:
    """Documents whose field lies between the given bounds; numbers, or strings by code point."""

    field: str
    gt: float | str | None = None
    gte: float | str | None = None
    lt: float | str | None = None
    lte: float | str | None = None


@dataclass(frozen=True, slots=True)
class Exists:
    """Documents that have the field with a value other than null."""

    field: str


@dataclass(frozen=True, slots=True)
class And:
    """Documents that match every one of the filters."""

    filters: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """Documents that match at least one of the filters."""

    filters: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """Documents that do not match the filter."""

    filter: Filter


Filter: TypeAlias = Equal | In | Range | Exists | And | Or | Not
