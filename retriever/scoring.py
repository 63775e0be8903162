"""BM25 formulas: frozen, validated, chosen by name, storable as JSON.

A document's score for a query is the sum over the query's terms, a repeated term counting as
often as it stands there, of::

    idf(df, n_docs) * impact(tf, length, average_length)

``df`` is the number of documents with the term, ``tf`` how often it stands in this one, a length a
number of terms.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass, fields
from math import isfinite
from typing import Any, ClassVar, Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from twopass.retriever.errors import ScoringError

__all__ = [
    "BM25L",
    "FORMULAS",
    "BM25Plus",
    "Lucene",
    "Okapi",
    "Scoring",
    "describe",
    "formula",
    "lucene_byte_length",
]

Floats: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Scoring(ABC):
    """One BM25 formula with its parameters.

    Attributes:
        name: what it is called in settings and files.
        k1: how slowly repetitions of a term saturate; at least 0.
        b: how much a document's length counts, from 0 to 1.

    Raises:
        ScoringError: when a parameter is out of its range.

    """

    name: ClassVar[str]

    k1: float
    b: float

    def __post_init__(self) -> None:
        _check_parameter("k1", self.k1)
        _check_parameter("b", self.b)
        if self.b > 1:
            raise ScoringError(f"b: expected a number from 0 to 1, found {self.b!r}")

    @property
    def baseline(self) -> float:
        """The impact of a term that is absent: a query adds ``idf * baseline`` to every document.

        So it changes no ranking, only the scores.
        """
        return 0.0

    @abstractmethod
    def idf(self, df: ArrayLike, n_docs: int, *, floor: float | None = None) -> Floats:
        """Return the weights of terms.

        Args:
            df: (t,) in how many documents each term stands; at least 1.
            n_docs: of how many documents.
            floor: what :meth:`floor` gave for the whole vocabulary; ``None`` when ``df`` is it.

        Returns:
            (t,) float64.

        """

    def floor(self, df: ArrayLike, n_docs: int) -> float | None:
        """Return the weight that too frequent terms get; ``None`` when the formula has none.

        Args:
            df: (t,) of the whole vocabulary; not read when the formula has no floor.
            n_docs: of how many documents.

        """
        del df, n_docs
        return None

    def impact(self, tf: ArrayLike, length: ArrayLike, average_length: float) -> Floats:
        """Return what a term adds to a score before its weight.

        It never falls when ``tf`` grows and never rises when ``length`` does, in floating point
        too: an index takes upper bounds from that.

        Args:
            tf: (p,) how often the term stands in the document; at least 1.
            length: (p,) the document's number of terms.
            average_length: the mean length of the collection's documents; above 0.

        Returns:
            (p,) float64.

        """
        return self._impact(np.asarray(tf, dtype=np.float64), self.norm(length, average_length))

    def norm(self, length: ArrayLike, average_length: float) -> Floats:
        """Return what a document's length counts, 1 for the average one: (p,) float64.

        Args:
            length: (p,) numbers of terms.
            average_length: the mean length of the collection's documents; above 0.

        """
        return 1 - self.b + self.b * (self._stored_length(length) / average_length)

    @abstractmethod
    def _impact(self, tf: Floats, norm: Floats) -> Floats: ...

    def _stored_length(self, length: ArrayLike) -> Floats:
        return np.asarray(length, dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Lucene(Scoring):
    """BM25 as Lucene 8 and newer score it, and so OpenSearch and, times ``k1 + 1``, Elasticsearch.

    Robertson & Zaragoza, The Probabilistic Relevance Framework: BM25 and Beyond (2009), with an
    idf that is never negative and without the constant factor ``k1 + 1`` (LUCENE-8563), which
    Elasticsearch 8 keeps; it changes no order::

        idf = ln(1 + (N - df + 0.5) / (df + 0.5))
        impact = tf / (tf + k1 * (1 - b + b * length / average_length))

    bm25s calls it ``lucene`` too. Lucene takes N and the average length over the documents that
    are not empty.

    Attributes:
        k1: see :class:`Scoring`.
        b: see :class:`Scoring`.
        lengths: ``lucene-byte`` rounds each length as Lucene does to store it in one byte.
        scaled: multiply by ``k1 + 1``, for scores that equal Elasticsearch's.

    """

    name: ClassVar[str] = "lucene"

    k1: float = 1.2
    b: float = 0.75
    lengths: Literal["exact", "lucene-byte"] = "exact"
    scaled: bool = False

    def __post_init__(self) -> None:
        Scoring.__post_init__(self)
        if self.lengths not in ("exact", "lucene-byte"):
            raise ScoringError(
                f"lengths: expected 'exact' or 'lucene-byte', found {self.lengths!r}"
            )
        if not isinstance(self.scaled, bool):
            raise ScoringError(f"scaled: expected true or false, found {self.scaled!r}")

    def idf(self, df: ArrayLike, n_docs: int, *, floor: float | None = None) -> Floats:
        """Return the weights of terms, never negative."""
        del floor
        df = np.asarray(df, dtype=np.float64)
        return np.asarray(np.log1p((n_docs - df + 0.5) / (df + 0.5)))

    def _impact(self, tf: Floats, norm: Floats) -> Floats:
        return (self.k1 + 1 if self.scaled else 1) * _saturation(tf, self.k1 * norm)

    def _stored_length(self, length: ArrayLike) -> Floats:
        if self.lengths == "lucene-byte":
            length = lucene_byte_length(length)
        return np.asarray(length, dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Okapi(Scoring):
    """``BM25Okapi`` of rank-bm25 0.2.2: the classic form with a floor under its idf.

    Robertson et al., Okapi at TREC-3 (1994); the floor as in Trotman, Jia & Crane, Towards an
    Efficient and Effective Search Engine (2012)::

        idf = ln((N - df + 0.5) / (df + 0.5)), and epsilon * mean idf where that is negative
        impact = tf * (k1 + 1) / (tf + k1 * (1 - b + b * length / average_length))

    The mean runs over the whole vocabulary, negative values included: in a tiny collection it may
    be negative itself.

    Attributes:
        k1: see :class:`Scoring`.
        b: see :class:`Scoring`.
        epsilon: the share of the mean idf that a term of more than half the documents gets.

    """

    name: ClassVar[str] = "okapi"

    k1: float = 1.5
    b: float = 0.75
    epsilon: float = 0.25

    def __post_init__(self) -> None:
        Scoring.__post_init__(self)
        _check_parameter("epsilon", self.epsilon)

    def idf(self, df: ArrayLike, n_docs: int, *, floor: float | None = None) -> Floats:
        """Return the weights of terms; see :class:`Scoring` for the arguments."""
        idf = _okapi_idf(df, n_docs)
        if floor is None:
            floor = self.floor(df, n_docs)
        return np.where(idf < 0, floor, idf)

    def floor(self, df: ArrayLike, n_docs: int) -> float:
        """Return the weight of terms of more than half the documents."""
        idf = _okapi_idf(df, n_docs)
        return self.epsilon * float(idf.mean()) if len(idf) else 0.0

    def _impact(self, tf: Floats, norm: Floats) -> Floats:
        return (self.k1 + 1) * _saturation(tf, self.k1 * norm)


@dataclass(frozen=True, slots=True)
class BM25L(Scoring):
    """``BM25L`` of rank-bm25 0.2.2: long documents are not penalised as much.

    Lv & Zhai, When Documents Are Very Long, BM25 Fails! (2011), with the library's deviation: a
    further factor ``tf``, by which an absent term adds nothing::

        idf = ln((N + 1) / (df + 0.5))
        c = tf / (1 - b + b * length / average_length)
        impact = tf * (k1 + 1) * (c + delta) / (k1 + c + delta)

    Attributes:
        k1: see :class:`Scoring`.
        b: see :class:`Scoring`.
        delta: by how much each ``c`` is lifted; at least 0.

    """

    name: ClassVar[str] = "l"

    k1: float = 1.5
    b: float = 0.75
    delta: float = 0.5

    def __post_init__(self) -> None:
        Scoring.__post_init__(self)
        _check_parameter("delta", self.delta)

    def idf(self, df: ArrayLike, n_docs: int, *, floor: float | None = None) -> Floats:
        """Return the weights of terms, never negative."""
        del floor
        return np.asarray(np.log((n_docs + 1) / (np.asarray(df, dtype=np.float64) + 0.5)))

    def _impact(self, tf: Floats, norm: Floats) -> Floats:
        return (self.k1 + 1) * tf * _saturation(tf / norm + self.delta, self.k1)


@dataclass(frozen=True, slots=True)
class BM25Plus(Scoring):
    """``BM25Plus`` of rank-bm25 0.2.2: a term that is there always adds at least ``delta``.

    Lv & Zhai, Lower-Bounding Term Frequency Normalization (2011), with the library's deviation: a
    term that is absent adds ``delta`` as well, so that all scores rise by one constant, the
    :attr:`baseline`::

        idf = ln((N + 1) / df)
        impact = delta + tf * (k1 + 1) / (tf + k1 * (1 - b + b * length / average_length))

    Attributes:
        k1: see :class:`Scoring`.
        b: see :class:`Scoring`.
        delta: what a term adds at least; at least 0.

    """

    name: ClassVar[str] = "plus"

    k1: float = 1.5
    b: float = 0.75
    delta: float = 1.0

    def __post_init__(self) -> None:
        Scoring.__post_init__(self)
        _check_parameter("delta", self.delta)

    @property
    def baseline(self) -> float:
        """``delta``."""
        return self.delta

    def idf(self, df: ArrayLike, n_docs: int, *, floor: float | None = None) -> Floats:
        """Return the weights of terms, never negative."""
        del floor
        return np.asarray(np.log((n_docs + 1) / np.asarray(df, dtype=np.float64)))

    def _impact(self, tf: Floats, norm: Floats) -> Floats:
        return self.delta + (self.k1 + 1) * _saturation(tf, self.k1 * norm)


_LARGEST = 1000  # far beyond use, and far from where float32 scores would underflow to 0

FORMULAS: dict[str, type[Scoring]] = {each.name: each for each in (Lucene, Okapi, BM25L, BM25Plus)}


def formula(name: str, **parameters: Any) -> Scoring:
    """Return the formula of this name; a parameter that is not given has its default.

    Raises:
        ScoringError: when there is no such formula, parameter or value.

    """
    if name not in FORMULAS:
        raise ScoringError(f"scoring: expected one of {', '.join(FORMULAS)}, found {name!r}")
    known = [field.name for field in fields(FORMULAS[name])]
    unknown = sorted(parameters.keys() - set(known))
    if unknown:
        raise ScoringError(
            f"scoring {name!r}: expected parameters among {', '.join(known)}, "
            f"found {', '.join(unknown)}"
        )
    return FORMULAS[name](**parameters)


def describe(scoring: Scoring) -> dict[str, Any]:
    """Return name and parameters as JSON values: ``formula(**describe(s)) == s``."""
    return {"name": scoring.name, **asdict(scoring)}


def lucene_byte_length(length: ArrayLike) -> NDArray[np.int64]:
    """Round lengths down to those that Lucene's norms tell apart.

    Lucene stores a length in one byte (``SmallFloat.intToByte4``): exact below 24, beyond that
    24 plus a number of four significant bits.

    Args:
        length: (n,) not negative.

    Returns:
        (n,) int64.

    """
    length = np.asarray(length, dtype=np.int64)
    beyond = np.maximum(length - 24, 0)
    bits = np.frexp(beyond.astype(np.float64))[1]
    shift = np.maximum(bits - 4, 0)
    return np.where(length < 24, length, 24 + ((beyond >> shift) << shift))


def _saturation(tf: Floats, norm: Floats | float) -> Floats:
    """Compute tf / (tf + norm) in a form whose every rounding keeps the order of its arguments."""
    return 1 / (1 + norm / tf)


def _okapi_idf(df: ArrayLike, n_docs: int) -> Floats:
    df = np.asarray(df, dtype=np.float64)
    return np.asarray(np.log(n_docs - df + 0.5) - np.log(df + 0.5))


def _check_parameter(name: str, value: float) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not isfinite(value):
        raise ScoringError(f"{name}: expected a number, found {value!r}")
    if not 0 <= value <= _LARGEST:
        raise ScoringError(f"{name}: expected a number from 0 to {_LARGEST}, found {value!r}")
