"""Data settings -> training examples, created once and kept beside the model."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from twopass.pipeline.apps.assembly import (
    build_fusion,
    build_index,
    build_retriever,
    build_teacher,
)
from twopass.pipeline.apps.settings import Settings
from twopass.pipeline.apps.settings.train import DataSettings
from twopass.pipeline.errors import TrainingDataError
from twopass.pipeline.training.collection import Collection, find_leaks
from twopass.pipeline.training.development import Development
from twopass.pipeline.training.negatives import keep_within, mine_negatives, score_with_teachers
from twopass.reranker.contract.scorer import PairScorer
from twopass.reranker.training.examples import Example, read_examples, write_examples
from twopass.retriever.base import Retriever
from twopass.retriever.corpus import BeirFolder

__all__ = ["ExampleSet", "Preparation"]


@dataclass(slots=True)
class ExampleSet:
    """One set of examples.

    Attributes:
        name: of the data and its split.
        licence: the data's.
        examples: lists.
        accounts: how they were made, in sentences for the card.

    """

    name: str
    licence: str
    examples: list[Example]
    accounts: list[str] = field(default_factory=list)


class Preparation:
    """Reads, mines, teaches and filters, and finds the development queries' candidates.

    Args:
        settings: all settings.
        folder: where the examples are kept.
        say: called with a line about each step.

    Raises:
        TrainingDataError: when no data are named.
        CorpusError: when data do not exist.

    """

    def __init__(self, settings: Settings, folder: Path, say: Callable[[str], None]) -> None:
        self._settings, self._own = settings, settings.train
        self._folder, self._say = folder, say
        if not self._own.data:
            raise TrainingDataError(
                "expected data to train on, found none; name a folder or a file with --data"
            )
        for data in self._own.data:
            _find(data, self._own.root / data.path)

    def run(self) -> tuple[list[ExampleSet], list[Development]]:
        """Return the examples, and the development queries with their candidates.

        Raises:
            TrainingDataError: when there is nothing to train on, or training and development data
                overlap and the settings call that an error.

        """
        sets, development = [], []
        for data in self._own.data:
            prepared, measured = self._one(data, self._own.root / data.path)
            sets.append(prepared)
            development += measured
        for prepared in sets:
            self._check_leaks(prepared, [d.whole for d in development])
        return sets, development

    def _one(self, data: DataSettings, path: Path) -> tuple[ExampleSet, list[Development]]:
        if path.is_file():
            prepared = ExampleSet(path.name, data.licence, read_examples(path))
            self._teach(prepared, data)
            return prepared, []
        retriever = self._retriever(path)
        return self._mined(data, path, retriever), self._development(data, path, retriever)

    def _mined(self, data: DataSettings, path: Path, retriever: Retriever) -> ExampleSet:
        name = f"{path.name}/{data.split}"
        kept = self._folder / f"examples-{self._mark(data, path)}.jsonl.gz"
        notes = kept.with_name(kept.name.replace(".jsonl.gz", ".json"))
        if kept.exists() and notes.exists():
            self._say(f"{name}: using the examples in {kept}")
            accounts = json.loads(notes.read_text(encoding="utf-8"))
            return ExampleSet(name, data.licence, read_examples(kept), accounts)
        collection = Collection.read(path, data.split, share=data.share, queries=data.queries)
        if data.share < 1:
            retriever = build_index(self._settings, collection.documents, None)
        recipe = self._own.made_recipe()
        mined = mine_negatives(retriever, collection, self._own.negatives, recipe.seed)
        self._say(f"{name}: {len(mined.examples):,} lists from {len(collection.queries):,} queries")
        account = f"{name}: {mined.account} The first stage missed {mined.missed:,} relevant "
        account += f"passages of {len(mined.examples):,}."
        prepared = ExampleSet(name, data.licence, mined.examples, [account])
        self._teach(prepared, data)
        self._folder.mkdir(parents=True, exist_ok=True)
        write_examples(kept, prepared.examples)
        notes.write_text(json.dumps(prepared.accounts), encoding="utf-8")
        return prepared

    def _teach(self, prepared: ExampleSet, data: DataSettings) -> None:
        """Score the lists with the teachers, and drop negatives that they consider relevant."""
        own = self._own
        if not (own.teachers and data.teach):
            return
        pairs = sum(len(e.passages) for e in prepared.examples)
        self._say(f"{prepared.name}: teachers score {pairs:,} pairs")
        taught = score_with_teachers(
            prepared.examples, (self._teacher(name) for name in own.teachers)
        )
        spreads = ", ".join(
            f"{name} {spread:.3g}"
            for name, spread in zip(own.teachers, taught.spreads, strict=True)
        )
        prepared.examples = taught.examples
        prepared.accounts.append(
            f"{prepared.name}: the teachers' scores are means in units of each one's spread "
            f"within a list ({spreads})."
        )
        if own.filter_margin is not None:
            prepared.examples, dropped = keep_within(prepared.examples, own.filter_margin)
            prepared.accounts.append(
                f"{prepared.name}: {dropped:,} negatives were left out, which the teachers put "
                f"above the relevant passage less {own.filter_margin:g}."
            )

    def _check_leaks(self, prepared: ExampleSet, development: Sequence[Collection]) -> None:
        leaks = find_leaks(prepared.examples, development)
        account = f"{prepared.name}: {leaks.account()}"
        if leaks:
            self._say(account)
            if self._own.leaks == "error":
                raise TrainingDataError(f"{account} Drop them with --leaks drop")
            if self._own.leaks == "drop":
                before = len(prepared.examples)
                prepared.examples = leaks.without(prepared.examples)
                account += f" {before - len(prepared.examples):,} lists with them were left out."
        prepared.accounts.append(account)

    def _development(
        self, data: DataSettings, path: Path, retriever: Retriever
    ) -> list[Development]:
        if data.dev_split is None or data.dev_split not in BeirFolder(path).splits:
            return []
        whole = Collection.read(path, data.dev_split)
        fusion = build_fusion(self._settings)
        return [Development.of(retriever, whole, data.dev_queries, self._own.dev_depth, fusion)]

    def _retriever(self, path: Path) -> Retriever:
        """Return the index of the settings, or else one of the corpus."""
        if self._settings.retriever.index is not None:
            return build_retriever(self._settings)
        from twopass.retriever.corpus import read_documents

        self._say(f"{path.name}: indexing")
        return build_index(self._settings, read_documents(BeirFolder(path).corpus), None)

    def _teacher(self, name: str) -> PairScorer:
        return build_teacher(self._settings, name)

    def _mark(self, data: DataSettings, path: Path) -> str:
        """Return a hash of everything that the examples depend on."""
        own = self._own
        size = BeirFolder(path).corpus.stat().st_size
        seed = own.made_recipe().seed
        decisive = [
            data.model_dump(mode="json", exclude={"dev_split", "dev_queries", "licence", "path"}),
            [path.name, size, seed, own.filter_margin],
            own.negatives.model_dump(mode="json"),
            own.teachers,
            self._settings.retriever.model_dump(mode="json", exclude={"api_key", "password"}),
        ]
        return hashlib.blake2b(json.dumps(decisive).encode(), digest_size=6).hexdigest()


def _find(data: DataSettings, path: Path) -> None:
    """Check that the files exist, before anything that takes time."""
    if not path.is_file():
        folder = BeirFolder(path)
        _ = folder.corpus, folder.queries, folder.qrels(data.split)
