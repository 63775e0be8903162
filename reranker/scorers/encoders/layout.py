"""How an encoder's makers meant it to be used: pooling, prefixes, length."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

from twopass.reranker.contract.errors import ModelError

__all__ = ["Layout", "Pooling", "read_layout"]

Pooling: TypeAlias = Literal["mean", "cls", "max", "last"]

_QUERY = ("query", "search_query", "s2p_query")
_PASSAGE = ("passage", "document", "search_document", "corpus")


@dataclass(frozen=True, slots=True)
class Layout:
    """What is done around a transformer to make an embedding of it.

    Attributes:
        pooling: how the tokens' vectors become one: their ``mean``, the first token's (``cls``),
            the largest of each dimension (``max``), or the ``last`` token's.
        query_prefix: what is set before a query.
        passage_prefix: what is set before a passage.
        normalized: whether embeddings have length 1, so that their product is the cosine.
        max_length: tokens a text at most, special ones included; None for what the model has.

    Raises:
        ModelError: when the pooling is unknown.

    """

    pooling: Pooling = "mean"
    query_prefix: str = ""
    passage_prefix: str = ""
    normalized: bool = True
    max_length: int | None = None

    def __post_init__(self) -> None:
        if self.pooling not in get_args(Pooling):
            raise ModelError(
                f"expected a pooling of {', '.join(get_args(Pooling))}, found {self.pooling!r}"
            )

    def changed(self, **given: Any) -> Layout:
        """Return a layout with what is given instead; None is not given."""
        return replace(self, **{name: v for name, v in given.items() if v is not None})


# Families whose weights are often passed on without sentence-transformers' files, as their cards
# say they are to be used; the first that is found in the model's name counts.
_FAMILIES: Mapping[str, Layout] = {
    r"(^|[/\\])(multilingual-)?e5-": Layout("mean", "query: ", "passage: "),
    r"bge-(small|base|large)-en": Layout(
        "cls", "Represent this sentence for searching relevant passages: "
    ),
    r"gte-(small|base|large)": Layout("mean"),
    r"MiniLM|mpnet": Layout("mean"),
}


def read_layout(folder: Path, name: str) -> Layout:
    """Read what the folder says in sentence-transformers' files, else what is known of the name.

    Where neither says anything the layout is the mean without prefixes, as in
    sentence-transformers.

    Raises:
        ModelError: when the files ask for what is not done here.

    """
    modules = _json(folder / "modules.json")
    known = next((own for like, own in _FAMILIES.items() if re.search(like, name)), Layout())
    if not modules:
        return known
    kinds = [str(module["type"]).rsplit(".", 1)[-1] for module in modules]
    if kinds[:1] != ["Transformer"] or not set(kinds[1:]) <= {"Pooling", "Normalize"}:
        raise ModelError(
            f"expected a transformer with pooling in {str(folder)!r}, "
            f"found a chain of modules: {', '.join(kinds)}"
        )
    config = _json(folder / "config_sentence_transformers.json")
    prompts = config.get("prompts") or {}
    own = Layout(
        pooling=_pooling(folder, modules, kinds),
        normalized=config.get("similarity_fn_name") != "dot" or "Normalize" in kinds,
        max_length=_json(folder / "sentence_bert_config.json").get("max_seq_length"),
    )
    return own.changed(
        query_prefix=_first(prompts, _QUERY) or known.query_prefix,
        passage_prefix=_first(prompts, _PASSAGE) or known.passage_prefix,
    )


def _pooling(folder: Path, modules: Any, kinds: list[str]) -> Pooling:
    if "Pooling" not in kinds:
        return "mean"
    config = _json(folder / str(modules[kinds.index("Pooling")]["path"]) / "config.json")
    flags = {
        "pooling_mode_cls_token": "cls",
        "pooling_mode_max_tokens": "max",
        "pooling_mode_mean_tokens": "mean",
        "pooling_mode_lasttoken": "last",
    }
    chosen: list[Any] = [config["pooling_mode"]] if config.get("pooling_mode") else []
    chosen = chosen or [
        flags.get(k, k) for k, v in config.items() if k[:12] == "pooling_mode" and v
    ]
    chosen = [{"lasttoken": "last"}.get(mode, mode) for mode in chosen]
    if len(chosen) != 1 or chosen[0] not in get_args(Pooling):
        raise ModelError(
            f"expected one pooling of {', '.join(get_args(Pooling))} in {str(folder)!r}, "
            f"found {chosen}"
        )
    pooling: Pooling = chosen[0]
    return pooling


def _first(prompts: Mapping[str, str], names: tuple[str, ...]) -> str | None:
    return next((prompts[name] for name in names if prompts.get(name)), None)


def _json(path: Path) -> Any:
    """Return a file's value, or an empty object where there is no such file."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise ModelError(f"expected JSON in {str(path)!r}, could not read it: {error}") from error
