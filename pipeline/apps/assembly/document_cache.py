"""Token ids and embeddings of documents, stored in an index's folder for the second stage."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from twopass.pipeline.apps.assembly.models import build_encoder

if TYPE_CHECKING:
    from twopass.pipeline.apps.settings import Settings
    from twopass.retriever.index.index import BM25Index

__all__ = ["Done", "refresh_embeddings", "refresh_tokens", "store_embeddings", "store_tokens"]

Done = Callable[[int], None]


def store_tokens(
    index: BM25Index, folder: Path, settings: Settings, done: Done = lambda _: None
) -> None:
    """Store the documents' token ids for the model of the settings; existing ones are kept.

    Raises:
        RerankerError: when the tokeniser cannot be loaded, or the folder cannot be written.

    """
    from twopass.reranker.files.model_folder import locate_model
    from twopass.reranker.text.row_store import store_tokens as store
    from twopass.reranker.text.tokenizer import ModelTokenizer

    model = settings.reranker.model
    tokenizer = ModelTokenizer.load(locate_model(model)).backend
    store(folder / "tokens", tokenizer, _texts(index), model=model, done=done)


def store_embeddings(
    index: BM25Index, folder: Path, settings: Settings, done: Done = lambda _: None
) -> None:
    """Store the documents' embeddings by the cascade's encoder; existing ones are kept.

    Raises:
        RerankerError: when the encoder cannot be loaded, or the folder cannot be written.

    """
    build_encoder(settings).store(folder / "embeddings", _texts(index), done=done)


def refresh_embeddings(
    index: BM25Index, folder: Path, settings: Settings, done: Done = lambda _: None
) -> list[str]:
    """Store embeddings of new documents for each encoder that the folder has embeddings of.

    An encoder that is missing, or whose weights or options have changed, is skipped: documents
    without an embedding are embedded during the search.

    Returns:
        The names of the skipped encoders.

    """
    from twopass.reranker.contract.errors import RerankerError
    from twopass.reranker.text.row_store import RowStore

    left = []
    for own in sorted(path.parent for path in folder.glob("embeddings/*/about.json")):
        name = str(RowStore(own).about.get("model", ""))
        cascade = settings.reranker.cascade.model_copy(update={"model": name})
        reranker = settings.reranker.model_copy(update={"cascade": cascade})
        try:
            encoder = build_encoder(settings.model_copy(update={"reranker": reranker}))
        except RerankerError:
            encoder = None
        if encoder is None or encoder.fingerprint != own.name:
            left.append(name)
        else:
            encoder.store(folder / "embeddings", _texts(index), done=done)
    return left


def refresh_tokens(index: BM25Index, folder: Path, done: Done = lambda _: None) -> None:
    """Store token ids of new documents for each tokeniser that the folder has ids of."""
    if (folder / "tokens").is_dir():
        from twopass.reranker.text.row_store import refresh_tokens as refresh

        refresh(folder / "tokens", lambda: _texts(index), done)


def _texts(index: BM25Index) -> Iterator[str]:
    return (document.contents for document in index.documents())
