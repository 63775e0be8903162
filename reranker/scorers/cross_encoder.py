"""The second stage: a cross-encoder reads a query and a document together and scores the pair."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, overload

import numpy as np
from numpy.typing import NDArray

from twopass.reranker.console import progress_bar
from twopass.reranker.contract.deadlines import Deadline, Pace, estimated_tokens, score_until
from twopass.reranker.contract.errors import InputError, ModelError
from twopass.reranker.contract.inputs import check_pairs, is_single
from twopass.reranker.contract.scorer import Scorer
from twopass.reranker.contract.scores import Scores
from twopass.reranker.scorers import activations
from twopass.reranker.scorers.logits import Logits, compute_logits

if TYPE_CHECKING:
    import torch

    from twopass.reranker.engines.choice import EngineName, PrecisionName
    from twopass.reranker.text.encoding import PairEncoder

__all__ = ["CrossEncoder"]

_Pair: TypeAlias = tuple[str, str] | list[str]
_Function: TypeAlias = Callable[[Any], Any]


class CrossEncoder(Scorer):
    """A sequence-classification model of transformers as a scorer of pairs.

    A drop-in for ``sentence_transformers.CrossEncoder`` where the two overlap: the same scores from
    :meth:`predict` and :meth:`rank`. Two things differ on purpose: a query is never cut in favour
    of a document, and neither code nor pickles from a model's folder are run by default.

    Safe to use from several threads.

    Args:
        name_or_path: a model that ships with this package (``twopass/default``), a folder, or a
            name on the Hugging Face hub.
        device: ``"cpu"``, ``"cuda"``, ``"cuda:1"``; by default a GPU if there is one. Several, in a
            list or between commas, share the work.
        max_length: tokens a pair at most; by default what the model's files say.
        activation_fn: a function of a torch tensor (n, labels) of logits; by default what the
            model's files say, else a sigmoid for one label and nothing for several.
        num_labels: how many labels the model is expected to have; checked, never changed.
        precision: ``"fp32"`` for scores equal to sentence-transformers', ``"int8"`` (on a CPU;
            see :mod:`twopass.reranker.engines.precision`), ``"bf16"`` or ``"fp16"``;
            ``"auto"`` takes bf16 where a short measurement finds it clearly faster on this device,
            and logits may then differ by some 1e-2.
        engine: ``"onnx"`` (ONNX Runtime on a CPU, without torch, for models of known families),
            ``"packed"`` (the same in torch, without padding), ``"torch"`` (any model), or
            ``"auto"``: the fastest of those that take the model on the device.
        cuda_graphs: start small batches on a GPU as CUDA graphs, where the engine is ``packed``.
        max_query_length: cut queries to so many tokens; by default a query that leaves no room for
            a document is an error.
        token_budget: padded tokens a batch at most; by default what suits the device.
        stored_tokens: a folder of documents' token ids that were computed before, as
            ``twopass index --tokens`` does; a text that has none is tokenised as ever.
        trust_remote_code: run code that comes with the model.
        revision: branch, tag or commit on the hub.
        token: for the hub; by default the one that is stored on this machine.
        cache_folder: where downloads are kept.
        local_files_only: never contact the hub.

    Raises:
        ModelError: when the model cannot be had, or is no cross-encoder.
        InputError: when the budget is no positive number.

    """

    def __init__(
        self,
        name_or_path: str | PathLike[str] = "twopass/default",
        *,
        device: str | Sequence[str] | None = None,
        max_length: int | None = None,
        activation_fn: _Function | None = None,
        num_labels: int | None = None,
        precision: PrecisionName = "fp32",
        engine: EngineName = "auto",
        cuda_graphs: bool = False,
        max_query_length: int | None = None,
        token_budget: int | None = None,
        stored_tokens: str | PathLike[str] | None = None,
        trust_remote_code: bool = False,
        revision: str | None = None,
        token: str | bool | None = None,
        cache_folder: str | PathLike[str] | None = None,
        local_files_only: bool = False,
    ) -> None:
        _check_positive("token_budget", token_budget)
        from twopass.reranker.engines.engine import BatchRunner
        from twopass.reranker.scorers.loaded_model import load_model

        model = load_model(
            name_or_path,
            device=device,
            max_length=max_length,
            activation_fn=activation_fn,
            num_labels=num_labels,
            precision=precision,
            engine=engine,
            cuda_graphs=cuda_graphs,
            max_query_length=max_query_length,
            stored_tokens=stored_tokens,
            trust_remote_code=trust_remote_code,
            revision=revision,
            token=token,
            cache_folder=cache_folder,
            local_files_only=local_files_only,
        )
        self._encoder = model.encoder
        self._activation = model.activation
        self._runner = BatchRunner(model.engine, token_budget)
        self._labels = model.engine.labels
        self._name = str(name_or_path)
        self._pace = Pace()
        self._compute_fingerprint = model.fingerprint

    @property
    def name(self) -> str:
        """What it was loaded by."""
        return self._name

    @property
    def num_labels(self) -> int:
        """How many scores the model gives a pair."""
        return self._labels

    @property
    def bounded(self) -> bool:
        """Whether the scores are from 0 to 1, by a sigmoid, rather than logits."""
        return self._activation is activations.sigmoid

    @property
    def max_length(self) -> int:
        """How many tokens a pair has at most."""
        return self._encoder.max_length

    @property
    def token_budget(self) -> int:
        """How many padded tokens a batch has at most; it falls where memory does not suffice."""
        return self._runner.token_budget

    @property
    def encoder(self) -> PairEncoder:
        """What turns pairs into the model's token ids."""
        return self._encoder

    @cached_property
    def fingerprint(self) -> str:
        """A text that changes whenever scores could: a hash of weights, tokeniser and settings.

        The first use reads the model's files.
        """
        return self._compute_fingerprint()

    def logits(
        self,
        pairs: Sequence[_Pair],
        *,
        batch_size: int | None = None,
        done: Callable[[int], None] = lambda _: None,
    ) -> Logits:
        """Return the model's raw output for each pair, in order, and which were cut to fit.

        Args:
            pairs: (n,) of a query and a document each.
            batch_size: pairs a batch at most, beside the budget of tokens.
            done: called with the number of pairs that were scored since its last call.

        Raises:
            InputError: when a pair is not two strings, or they are no valid Unicode.
            QueryTooLongError: when a query leaves no room for a document.
            RerankerError: when the model gives no number, or memory does not suffice for one pair.

        """
        _check_positive("batch_size", batch_size)
        return compute_logits(
            self._encoder,
            self._runner,
            check_pairs(pairs),
            labels=self._labels,
            batch_size=batch_size,
            done=done,
        )

    @overload
    def predict(
        self,
        pairs: Sequence[_Pair],
        *,
        batch_size: int | None = ...,
        show_progress_bar: bool | None = ...,
        activation_fn: _Function | None = ...,
        apply_softmax: bool | None = ...,
        convert_to_numpy: Literal[True] = ...,
        convert_to_tensor: Literal[False] = ...,
    ) -> NDArray[np.float32]: ...
    @overload
    def predict(
        self,
        pairs: _Pair,
        *,
        batch_size: int | None = ...,
        show_progress_bar: bool | None = ...,
        activation_fn: _Function | None = ...,
        apply_softmax: bool | None = ...,
        convert_to_numpy: Literal[True] = ...,
        convert_to_tensor: Literal[False] = ...,
    ) -> np.float32 | NDArray[np.float32]: ...
    @overload
    def predict(
        self,
        pairs: Sequence[_Pair] | _Pair,
        *,
        batch_size: int | None = ...,
        show_progress_bar: bool | None = ...,
        activation_fn: _Function | None = ...,
        apply_softmax: bool | None = ...,
        convert_to_numpy: bool = ...,
        convert_to_tensor: Literal[True],
    ) -> torch.Tensor: ...
    @overload
    def predict(
        self,
        pairs: Sequence[_Pair] | _Pair,
        *,
        batch_size: int | None = ...,
        show_progress_bar: bool | None = ...,
        activation_fn: _Function | None = ...,
        apply_softmax: bool | None = ...,
        convert_to_numpy: Literal[False],
        convert_to_tensor: Literal[False] = ...,
    ) -> list[torch.Tensor] | torch.Tensor: ...
    def predict(
        self,
        pairs: Sequence[_Pair] | _Pair,
        *,
        batch_size: int | None = None,
        show_progress_bar: bool | None = None,
        activation_fn: _Function | None = None,
        apply_softmax: bool | None = False,
        convert_to_numpy: bool = True,
        convert_to_tensor: bool = False,
    ) -> Any:
        """Return the score of each pair, in order: the call of sentence-transformers.

        Args:
            pairs: (n,) of a query and a document each; or one pair, whose score is returned alone.
            batch_size: pairs a batch at most, beside the budget of tokens.
            show_progress_bar: draw one on standard error.
            activation_fn: instead of the model's own.
            apply_softmax: turn several labels' scores into shares that sum to one.
            convert_to_numpy: False for a list of tensors.
            convert_to_tensor: True for one tensor.

        Returns:
            float32: (n,) for one label, (n, labels) for several.

        Raises:
            InputError: when a pair is not two strings, or they are no valid Unicode.
            QueryTooLongError: when a query leaves no room for a document.

        """
        single = is_single(pairs)
        listed: Sequence[Any] = [pairs] if single else pairs
        with progress_bar(listed if show_progress_bar else None) as done:
            logits = self.logits(listed, batch_size=batch_size, done=done)
        scores = self._scores(logits.values, activation_fn, softmax=bool(apply_softmax))
        converted = _converted(scores, numpy=convert_to_numpy, tensor=convert_to_tensor)
        return converted[0] if single else converted

    def score(self, pairs: Sequence[_Pair], *, deadline: float | None = None) -> Scores:
        """Return the score of each pair, in order, as far as there is time; and which were cut.

        Args:
            pairs: (n,) of a query and a document each, the most promising first.
            deadline: seconds from now. Pairs are scored in their order, in small batches, until
                the next would not end in time; the rest are NaN, and the reason says so.

        Raises:
            ModelError: when the model has several labels, of which none is the score.
            InputError: when a pair is not two strings; further as :meth:`predict`.

        """
        until = Deadline.after(deadline)
        self._check_one_label("score")
        checked = check_pairs(pairs)
        truncated = np.zeros(len(checked), dtype=np.bool_)

        def scored(part: slice) -> NDArray[np.float32]:
            logits = self.logits(checked[part])
            truncated[part] = logits.truncated
            return self._scores(logits.values, None, softmax=False)

        tokens = estimated_tokens(checked, self.max_length)
        values = score_until(until, scored, tokens, self._pace)
        return Scores.until(until, values, self.name, truncated)

    def rank(
        self,
        query: str,
        documents: Sequence[str],
        top_k: int | None = None,
        return_documents: bool = False,
        *,
        batch_size: int | None = None,
        show_progress_bar: bool | None = None,
        activation_fn: _Function | None = None,
    ) -> list[dict[str, Any]]:
        """Score documents against one query and sort them, best first; ties keep their order.

        Args:
            query: the query.
            documents: (n,) the documents.
            top_k: how many to return; all by default.
            return_documents: put each document's text into its entry.
            batch_size: pairs a batch at most, beside the budget of tokens.
            show_progress_bar: draw one on standard error.
            activation_fn: instead of the model's own.

        Returns:
            One ``{"corpus_id": int, "score": float}`` a document, with ``"text"`` where asked.

        Raises:
            ModelError: when the model has several labels, so that no order follows from them.
            InputError: when a text is not a string; further as :meth:`predict`.

        """
        self._check_one_label("rank")
        if isinstance(documents, str):
            raise InputError(f"expected a list of documents, found the string {documents!r:.80}")
        scores = self.predict(
            [(query, document) for document in documents],
            batch_size=batch_size,
            show_progress_bar=show_progress_bar,
            activation_fn=activation_fn,
        )
        ranked: list[dict[str, Any]] = [
            {"corpus_id": int(i), "score": float(scores[i])}
            for i in np.argsort(-scores, kind="stable")[:top_k]
        ]
        if return_documents:
            for entry in ranked:
                entry["text"] = documents[entry["corpus_id"]]
        return ranked

    def _check_one_label(self, purpose: str) -> None:
        if self._labels != 1:
            raise ModelError(
                f"expected a model with one label to {purpose} by, found {self._labels}; "
                "use predict()"
            )

    def _scores(
        self, logits: NDArray[np.float32], wanted: _Function | None, *, softmax: bool
    ) -> NDArray[np.float32]:
        """Return (n,) for one label and (n, labels) for several."""
        activation = self._activation if wanted is None else activations.of_torch(wanted)
        scores = activation(logits)
        if scores.ndim > 1 and self._labels == 1:
            return scores[:, 0]
        return activations.softmax(scores) if softmax and scores.ndim > 1 else scores


def _converted(scores: NDArray[np.float32], *, numpy: bool, tensor: bool) -> Any:
    """Give the scores the type that the drop-in was asked for."""
    if numpy and not tensor:
        return scores
    import torch

    converted = torch.from_numpy(scores)
    return converted if tensor else list(converted)


def _check_positive(name: str, value: int | None) -> None:
    if value is not None and value < 1:
        raise InputError(f"expected {name} of at least 1, found {value}")
