"""Several configurations on one collection; candidates and scores are shared where possible."""

from __future__ import annotations

import tempfile
from argparse import ArgumentTypeError
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twopass.pipeline.apps.cli.arguments import parse_setting
from twopass.pipeline.apps.cli.output import progress

if TYPE_CHECKING:
    from twopass.pipeline.apps.settings import Settings
    from twopass.pipeline.evaluation import Collection, Evaluation, Pool, System
    from twopass.pipeline.fusion import Fusion
    from twopass.retriever import Retriever

__all__ = [
    "Variant",
    "collect_pools",
    "evaluate_variants",
    "indexed",
    "parse_variant",
    "with_retriever",
]


@dataclass(frozen=True, slots=True)
class Variant:
    """One configuration.

    Attributes:
        name: prefix of its systems' names; empty for the command's own configuration.
        settings: its settings.
        fusions: fusion methods to compare; by default the settings' own.

    """

    name: str
    settings: Settings
    fusions: tuple[str, ...] = ()

    def systems(self) -> dict[str, Fusion]:
        """Return its fusions by name."""
        from twopass.pipeline.apps.assembly import build_fusion
        from twopass.pipeline.fusion import fusion

        own = self.settings.fusion.method
        return {
            method: build_fusion(self.settings) if method == own else fusion(method)
            for method in self.fusions or (own,)
        }


def parse_variant(text: str) -> tuple[str, dict[str, Any]]:
    """Parse a variant: ``NAME: setting=value setting=value``."""
    name, colon, rest = text.partition(":")
    words = rest.split()
    if not (name.strip() and colon and words and all("=" in word.strip("=") for word in words)):
        raise ArgumentTypeError(
            f"expected 'NAME: setting=value ...', as 'tiny: reranker.model=twopass/tiny', "
            f"found {text!r}"
        )
    return name.strip(), dict(map(parse_setting, words))


def evaluate_variants(
    collection: Collection,
    variants: Sequence[Variant],
    *,
    rerank: bool,
    measures: Sequence[str],
    add_missed: bool = False,
) -> tuple[Evaluation, dict[str, Pool]]:
    """Evaluate configurations side by side; also return their scores, by the variant's name.

    The evaluation's depth and times are the first variant's.
    """
    pools = collect_pools(collection, variants, rerank=rerank, add_missed=add_missed)
    evaluations = [
        pools[each.name].evaluate(each.systems(), measures=measures, depth=each.settings.depth)
        for each in variants
    ]
    systems: dict[str, System] = {}
    for variant, evaluation in zip(variants, evaluations, strict=True):
        again = systems and variant.settings.retriever == variants[0].settings.retriever
        for name, system in evaluation.systems.items():
            if not (again and name == evaluation.baseline):
                systems[f"{variant.name}: {name}" if variant.name else name] = system
    return replace(evaluations[0], systems=systems), pools


def collect_pools(
    collection: Collection, variants: Sequence[Variant], *, rerank: bool, add_missed: bool = False
) -> dict[str, Pool]:
    """Search and score once for all variants that differ only in fusion and depth.

    With a cascade, variants of another depth are scored again: it chooses from all candidates.
    """
    from twopass.pipeline.apps.assembly import build_scorer
    from twopass.pipeline.evaluation import collect, missed_documents

    missed = missed_documents(collection.documents(), collection.qrels) if add_missed else None
    pools: dict[str, Pool] = {}
    for variant in variants:
        if variant.name in pools:
            continue
        settings = variant.settings
        alike = [
            other
            for other in variants
            if (other.settings.retriever, other.settings.reranker)
            == (settings.retriever, settings.reranker)
            and (settings.reranker.cheap_model is None or other.settings.depth == settings.depth)
        ]
        with _first_stage(collection, settings) as retriever:
            scorer = build_scorer(settings) if rerank else None
            with progress(_title("evaluating", variant), "queries", len(collection.qrels)) as done:
                pool = collect(
                    retriever,
                    scorer,
                    collection.queries,
                    collection.qrels,
                    depth=max(other.settings.depth for other in alike),
                    missed=missed,
                    progress=done,
                )
        pools |= {other.name: pool for other in alike}
    return pools


def _title(what: str, variant: Variant) -> str:
    return f"{what} {variant.name}" if variant.name else what


@contextmanager
def _first_stage(collection: Collection, settings: Settings) -> Iterator[Retriever]:
    """Open the first stage: the given index, the collection's own run, or a new index."""
    from twopass.pipeline.apps.assembly import build_retriever
    from twopass.pipeline.evaluation import ReplayRetriever

    if settings.retriever.index is None and collection.first is not None:
        yield ReplayRetriever(collection.first, collection.qrels, collection.documents())
        return
    with indexed(collection, settings) as there:
        yield build_retriever(there)


@contextmanager
def indexed(collection: Collection, settings: Settings) -> Iterator[Settings]:
    """Give settings with an index: the given ones, or with a temporary index of the collection."""
    from twopass.pipeline.apps.assembly import build_index

    if settings.retriever.index is not None:
        yield settings
        return
    with tempfile.TemporaryDirectory(prefix="twopass-") as folder:
        path = Path(folder) / "index"
        with progress("indexing", "documents") as done:
            build_index(settings, collection.documents(), path, progress=done).close()
        yield with_retriever(settings, index=str(path))


def with_retriever(settings: Settings, **values: Any) -> Settings:
    """Return settings with other values of the first stage."""
    retriever = settings.retriever.model_copy(update=values)
    return settings.model_copy(update={"retriever": retriever})
