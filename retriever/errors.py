"""The tree of this package's errors.

::

    RetrieverError
    ├── CorpusError            a file, line or document that cannot be read
    │   └── DuplicateIdError   an id that came twice
    ├── AnalysisError          an unknown analyser, or a text it cannot take
    ├── ScoringError           an unknown BM25 formula, or a parameter that it cannot take
    ├── QueryError             a query or filter that cannot be understood
    ├── StorageError           an index folder that cannot be used as asked
    │   ├── NotAnIndexError    no index there
    │   ├── IndexExistsError   something already there
    │   ├── FormatError        written by a newer or unknown version
    │   ├── CorruptIndexError  damaged: a checksum or a size does not fit
    │   └── LockedError        another writer has it
    └── BackendError           a search server that did not do as asked
        ├── UnreachableError          no answer, or too busy to give one
        ├── UnauthorizedError         it wants to know who asks, or forbids it
        ├── RemoteIndexMissingError   no index of that name there
        ├── IncompatibleClientError   it does not understand the installed client
        └── RefusedError              it does not take the request
"""

from __future__ import annotations

__all__ = [
    "AnalysisError",
    "BackendError",
    "CorpusError",
    "CorruptIndexError",
    "DuplicateIdError",
    "FormatError",
    "IncompatibleClientError",
    "IndexExistsError",
    "LockedError",
    "NotAnIndexError",
    "QueryError",
    "RefusedError",
    "RemoteIndexMissingError",
    "RetrieverError",
    "ScoringError",
    "StorageError",
    "UnauthorizedError",
    "UnreachableError",
]


class RetrieverError(Exception):
    """Anything that this package reports; its message says what to do next."""


class CorpusError(RetrieverError):
    """A file, line or document that cannot be read."""


class DuplicateIdError(CorpusError):
    """A document id that came twice."""


class AnalysisError(RetrieverError):
    """An unknown analyser, or a text that it cannot take."""


class ScoringError(RetrieverError):
    """An unknown BM25 formula, or a parameter that it cannot take."""


class QueryError(RetrieverError):
    """A query or filter that cannot be understood."""


class StorageError(RetrieverError):
    """An index folder that cannot be used as asked."""


class NotAnIndexError(StorageError):
    """No index where one was expected."""


class IndexExistsError(StorageError):
    """Something stands where an index was to be written."""


class FormatError(StorageError):
    """An index that a newer or unknown version wrote."""


class CorruptIndexError(StorageError):
    """An index whose files do not fit their checksums or sizes."""


class LockedError(StorageError):
    """An index that another writer has locked."""


class BackendError(RetrieverError):
    """A search server that could not be reached or did not do as asked."""


class UnreachableError(BackendError):
    """A server that gives no answer, or is too busy to."""


class UnauthorizedError(BackendError):
    """A server that wants to know who asks, or forbids what was asked."""


class RemoteIndexMissingError(BackendError):
    """A server without an index of that name."""


class IncompatibleClientError(BackendError):
    """A server that does not understand the installed client: of another version or product."""


class RefusedError(BackendError):
    """A server that does not take the request."""
