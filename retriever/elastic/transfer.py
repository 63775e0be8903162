"""Moving an index: to Elasticsearch's bulk format, into a server, and back."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import IO, TYPE_CHECKING, Any

from twopass.retriever.corpus.documents import Document
from twopass.retriever.errors import ScoringError
from twopass.retriever.scoring import Lucene, Scoring, formula

if TYPE_CHECKING:
    from twopass.retriever.elastic import Connection, IndexFields, LoadReport, Published
    from twopass.retriever.index.index import BM25Index

__all__ = [
    "export_bulk",
    "export_settings",
    "export_to_alias",
    "export_to_server",
    "import_from_server",
]


def export_bulk(documents: Iterable[Document], stream: IO[str], *, index: str | None = None) -> int:
    """Write documents in the format of ``_bulk``: two lines of JSON each.

    Args:
        documents: what to write; ``BM25Index.documents()`` yields an index's.
        stream: where to, as UTF-8.
        index: the index's name, to be said in each line; left to the request when ``None``.

    Returns:
        How many documents were written.

    """
    from twopass.retriever.elastic.remote_index import source_of

    count = 0
    for document in documents:
        where = {} if index is None else {"_index": index}
        for line in ({"create": where | {"_id": document.id}}, source_of(document)):
            stream.write(json.dumps(line, ensure_ascii=False) + "\n")
        count += 1
    return count


def export_settings(index: BM25Index, *, shards: int = 1, replicas: int = 0) -> dict[str, Any]:
    """Return the body that creates an index on a server with this one's analyser and BM25.

    Raises:
        AnalysisError: when the server has no such analyser.
        ScoringError: when the index's formula is not the server's.

    """
    from twopass.retriever.elastic.remote_index import index_body

    return index_body(**_making(index, None, None), shards=shards, replicas=replicas)


def export_to_server(
    index: BM25Index,
    connection: Connection,
    name: str,
    *,
    analysis: Mapping[str, Any] | None = None,
    scoring: Lucene | None = None,
    shards: int = 1,
    replicas: int = 0,
    resume: bool = False,
    progress: Callable[[int], None] | None = None,
) -> LoadReport:
    """Create an index on a server and load all documents of this one.

    With one shard it gives the scores of ``Lucene(k1, b, lengths="lucene-byte")``.

    Args:
        index: what to move.
        connection: the server.
        name: of the index there, new.
        analysis: settings to use instead of those that mean the same as the index's analyser.
        scoring: k1 and b to use instead of the index's.
        shards: each scores by its own statistics.
        replicas: further copies.
        resume: take up what an interrupted call began; and leave what is loaded if interrupted.
        progress: called now and then with the number of documents done.

    Raises:
        AnalysisError: when the server has no such analyser.
        ScoringError: when the index's formula is not the server's.
        IndexExistsError: when there is an index of that name, or with ``resume`` a different one.
        BackendError: when the server cannot be reached or refuses.

    """
    from twopass.retriever.elastic import load_documents

    return load_documents(
        connection,
        name,
        index.documents(),
        **_making(index, analysis, scoring),
        shards=shards,
        replicas=replicas,
        resume=resume,
        progress=progress,
    )


def export_to_alias(
    index: BM25Index,
    connection: Connection,
    alias: str,
    *,
    analysis: Mapping[str, Any] | None = None,
    scoring: Lucene | None = None,
    shards: int = 1,
    replicas: int = 0,
    resume: bool = False,
    remove_old: bool = False,
    progress: Callable[[int], None] | None = None,
) -> Published:
    """Load all documents into a new index on a server, and let an alias stand for it at the end.

    Searches by the alias find the old index until the new one is whole. The arguments are those
    of ``export_to_server`` and of ``twopass.retriever.elastic.publish_documents``.

    Raises:
        AnalysisError: when the server has no such analyser.
        ScoringError: when the index's formula is not the server's.
        IndexExistsError: when an index has the alias's name.
        BackendError: when the server cannot be reached or refuses.

    """
    from twopass.retriever.elastic import publish_documents

    return publish_documents(
        connection,
        alias,
        index.documents(),
        **_making(index, analysis, scoring),
        shards=shards,
        replicas=replicas,
        resume=resume,
        remove_old=remove_old,
        progress=progress,
    )


def import_from_server(
    connection: Connection,
    name: str,
    *,
    fields: IndexFields | None = None,
    routing: str | None = None,
) -> Iterator[Document]:
    """Yield all documents of a server's index, to be indexed here: ``BM25Index.build(...)``.

    Args:
        connection: the server.
        name: of the index, or an alias.
        fields: which of them are title, text and metadata, where the index is not one of ours.
        routing: reads only the shards of this value.

    Raises:
        BackendError: when the server cannot be reached, has no such index or refuses.

    """
    from twopass.retriever.elastic import IndexFields, read_documents

    return read_documents(connection, name, fields=fields or IndexFields(), routing=routing)


def _making(
    index: BM25Index, analysis: Mapping[str, Any] | None, scoring: Lucene | None
) -> dict[str, Any]:
    """Return the analysis and BM25 that are asked for, or else the index's own."""
    from twopass.retriever.elastic.remote_index import server_analyzer

    return {
        "analysis": server_analyzer(index.analyzer) if analysis is None else analysis,
        "scoring": _lucene(index) if scoring is None else scoring,
    }


def _lucene(index: BM25Index) -> Lucene:
    scoring: Scoring = formula(**index.info()["scoring"])
    if not isinstance(scoring, Lucene):
        raise ScoringError(
            f"a server scores by 'lucene', the index by {scoring.name!r}; "
            "pass scoring=Lucene(...) to choose k1 and b there"
        )
    return scoring
