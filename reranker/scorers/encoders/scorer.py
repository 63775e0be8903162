"""A bi-encoder as a scorer: a query costs one short encoding, a passage one, once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from hashlib import blake2b
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from twopass.reranker.contract.deadlines import Deadline, Pace, estimated_tokens, score_until
from twopass.reranker.contract.errors import ModelError
from twopass.reranker.contract.inputs import check_pairs
from twopass.reranker.contract.scorer import Scorer
from twopass.reranker.contract.scores import Scores
from twopass.reranker.scorers.encoders.layout import Layout, Pooling, read_layout

if TYPE_CHECKING:
    from twopass.reranker.engines.torch.engine import Precision

__all__ = ["BiEncoderScorer"]


class BiEncoderScorer(Scorer):
    """Scores a pair by the similarity of its two texts' embeddings.

    How the encoder is to be used (pooling, prefixes, length) is read from sentence-transformers'
    files in its folder; without them it is known for E5, BGE, GTE and MiniLM by name; and each part
    can be given. Passages' embeddings are remembered, and read from a folder where they were
    stored (:meth:`store`, ``twopass index --embeddings``).

    Safe to use from several threads.

    Args:
        name_or_path: a folder, or a name on the Hugging Face hub.
        device: ``"cpu"``, ``"cuda"``; by default a GPU if there is one.
        pooling: ``mean``, ``cls``, ``max`` or ``last``.
        query_prefix: what is set before a query.
        passage_prefix: what is set before a passage.
        normalized: whether the similarity is the cosine rather than the dot product.
        max_length: tokens a text at most; longer ones are cut.
        precision: ``"fp32"``, ``"bf16"`` or ``"fp16"``.
        token_budget: padded tokens a batch at most; by default what suits the device.
        remembered: how many passages' embeddings are kept in memory.
        stored: a folder of embeddings that were computed before.
        local_files_only: never ask the hub.

    Raises:
        ModelError: when the encoder cannot be had, or its files ask for what is not done here.

    """

    def __init__(
        self,
        name_or_path: str | PathLike[str],
        *,
        device: str | None = None,
        pooling: Pooling | None = None,
        query_prefix: str | None = None,
        passage_prefix: str | None = None,
        normalized: bool | None = None,
        max_length: int | None = None,
        precision: Precision = "fp32",
        token_budget: int | None = None,
        remembered: int = 100_000,
        stored: str | PathLike[str] | None = None,
        local_files_only: bool = False,
    ) -> None:
        from twopass.reranker.engines.engine import BatchRunner
        from twopass.reranker.engines.torch.engine import choose_device
        from twopass.reranker.files.model_folder import ModelFolder, locate_model
        from twopass.reranker.scorers.encoders.embedder import Embedder, TextEncoder
        from twopass.reranker.scorers.encoders.engine import EmbeddingEngine
        from twopass.reranker.text.row_store import RowStore
        from twopass.reranker.text.tokenizer import ModelTokenizer

        folder = ModelFolder.read(locate_model(name_or_path, local_files_only=local_files_only))
        self.layout: Layout = read_layout(folder.path, str(name_or_path)).changed(
            pooling=pooling,
            query_prefix=query_prefix,
            passage_prefix=passage_prefix,
            normalized=normalized,
        )
        tokenizer = ModelTokenizer.load(folder.path)
        engine = EmbeddingEngine(
            folder,
            tokenizer,
            pooling=self.layout.pooling,
            normalized=self.layout.normalized,
            device=choose_device(device),
            precision=precision,
        )
        limit = tokenizer.limit(engine.max_positions, self.layout.max_length, max_length)
        encoder = TextEncoder(tokenizer.backend, limit)
        runner = BatchRunner(engine, token_budget)
        self._name = str(name_or_path)
        self._fingerprint = _fingerprint(folder.path, self.layout, limit)
        own = None if stored is None else Path(stored) / self.fingerprint
        rows = None if own is None or not own.is_dir() else RowStore(own)
        self._queries = Embedder(encoder, runner, self.layout.query_prefix, remembered=1024)
        self._passages = Embedder(
            encoder, runner, self.layout.passage_prefix, remembered=remembered, stored=rows
        )
        self._pace = Pace()

    @property
    def name(self) -> str:
        """What it was loaded by."""
        return self._name

    @property
    def fingerprint(self) -> str:
        """A hash of weights, tokeniser and layout: of whatever decides about embeddings."""
        return self._fingerprint

    def embed_queries(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return (n, dimensions) float32: the queries' embeddings, in order."""
        return self._queries.embed(texts)

    def embed_passages(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return (n, dimensions) float32: the passages' embeddings, in order."""
        return self._passages.embed(texts)

    def score(self, pairs: Sequence[tuple[str, str]], *, deadline: float | None = None) -> Scores:
        """Return the similarity of each pair, in order, as far as there is time.

        Args:
            pairs: (n,) of a query and a passage each, the most promising first.
            deadline: seconds from now.

        Raises:
            InputError: when a pair is not two strings, or they are no valid Unicode.

        """
        until = Deadline.after(deadline)
        checked = check_pairs(pairs)
        values = score_until(
            until,
            lambda part: self._similarities(checked[part]),
            estimated_tokens(checked),
            self._pace,
        )
        return Scores.until(until, values, self.name)

    def _similarities(self, pairs: Sequence[tuple[str, str]]) -> NDArray[np.float32]:
        if not pairs:
            return np.zeros(0, dtype=np.float32)
        queries, passages = zip(*pairs, strict=True)
        one, other = self.embed_queries(queries), self.embed_passages(passages)
        scores: NDArray[np.float32] = np.einsum("nd,nd->n", one, other)
        return scores

    def store(
        self,
        folder: str | PathLike[str],
        texts: Iterable[str],
        *,
        dtype: Literal["float16", "int8"] = "float16",
        done: Callable[[int], None] = lambda _: None,
    ) -> None:
        """Compute and store the embeddings of passages that have none in the folder yet.

        Args:
            folder: where embeddings of several encoders may stand, each under its fingerprint.
            texts: the passages, any number of them.
            dtype: ``float16``, or ``int8`` at half the size: scores then differ by some 1e-3.
            done: called now and then with how many passages were looked at.

        Raises:
            RowStoreError: when the folder cannot be read or written.

        """
        from twopass.reranker.text.row_store import RowStore

        rows = RowStore.create(
            Path(folder) / self.fingerprint, dtype, model=self.name, kind="embeddings"
        )
        self._passages.store(rows, texts, done)


def _fingerprint(folder: Path, layout: Layout, limit: int) -> str:
    """Return what tells embeddings of this encoder, used like this, from others."""
    digest = blake2b(repr((layout, limit)).encode(), digest_size=8)
    files = sorted(
        [*folder.glob("*.safetensors"), folder / "config.json", *folder.glob("tok*.json")]
    )
    for file in files:
        try:
            with file.open("rb") as source:
                while part := source.read(1 << 20):
                    digest.update(part)
        except OSError as error:
            raise ModelError(f"{file}: could not be read: {error}") from error
    return digest.hexdigest()
