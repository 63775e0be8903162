"""How a model is trained, as settings: data, negatives, teachers, recipe, development queries."""

from __future__ import annotations

import inspect
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, create_model, model_validator

from twopass.pipeline.training.negatives import NegativeSettings
from twopass.reranker.contract.errors import RecipeError
from twopass.reranker.training.recipe import Recipe, named_recipe

__all__ = ["DataSettings", "TrainSettings"]

_Count = Annotated[int, Field(ge=1)]
_Share = Annotated[float, Field(gt=0, le=1)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class DataSettings(_Section):
    """One set of examples.

    Attributes:
        path: a folder in BEIR's layout, or a file of examples (JSON Lines, see docs/training.md).
        split: the qrels to learn from.
        dev_split: the qrels to measure on; None, or one that the folder lacks, for none.
        share: of the documents to take, by a hash of their ids; judged ones are taken by it too.
        queries: how many training queries to take, by a hash of their ids; None for all.
        dev_queries: how many development queries to measure on during training.
        teach: whether teachers score this set.
        licence: said in the card.

    """

    path: Path
    split: str = "train"
    dev_split: str | None = "dev"
    share: _Share = 1.0
    queries: _Count | None = None
    dev_queries: _Count | None = 100
    teach: bool = True
    licence: str = ""


def _changes() -> Any:
    """Return a section with each of a recipe's values, none of them set."""
    hints = get_type_hints(Recipe)
    named: dict[str, Any] = {f.name: (hints[f.name] | None, None) for f in fields(Recipe)}
    name = "    name: of the recipe that the others change; 'twopass train --help' lists them.\n"
    meanings = inspect.cleandoc(Recipe.__doc__ or "")
    described = meanings.replace("Attributes:\n", f"Attributes:\n{name}")
    return create_model(
        "RecipeSettings", __base__=_Section, __doc__=described, name=(str, "default"), **named
    )


RecipeSettings: Any = _changes()


class TrainSettings(_Section):
    """The training of a model.

    Attributes:
        data: what to learn from.
        root: where relative paths of the data begin.
        model: the weights to begin with: one that ships, a folder or a hub name.
        models: a folder in which models and teachers named as on the hub are looked for first.
        layers: how many of its layers to keep.
        take: which: "lower" or "even".
        hidden: make a new, small model of this width, with the model's embeddings projected.
        device: cpu, cuda, ...; None chooses.
        recipe: a recipe's name, and values that differ from it.
        negatives: which they are.
        teachers: encoders and cross-encoders whose scores are learnt.
        filter_margin: leave out negatives whose teacher's score is above the relevant passage's
            less this margin, in units of the teacher's spread; None filters nothing.
        leaks: what to do about queries and passages on both sides: "report", "drop" or "error".
        dev_depth: candidates rescored a development query.
        country: ISO code of three letters, for codecarbon; None measures no emissions.
        name: the model's, on its card.
        licence: of the model.

    """

    data: tuple[DataSettings, ...] = ()
    root: Path = Path()
    model: str = "twopass/default"
    models: Path | None = None
    layers: _Count | None = None
    take: Literal["lower", "even"] = "even"
    hidden: _Count | None = None
    device: str | None = None
    recipe: RecipeSettings = RecipeSettings()
    negatives: NegativeSettings = NegativeSettings()
    teachers: tuple[str, ...] = ()
    filter_margin: float | None = None
    leaks: Literal["report", "drop", "error"] = "report"
    dev_depth: _Count = 50
    country: str | None = None
    name: str | None = None
    licence: str | None = None

    def made_recipe(self) -> Recipe:
        """Return the recipe with its changes.

        Raises:
            RecipeError: when there is none of the name, or a value cannot be used.

        """
        changes = self.recipe.model_dump(exclude_none=True)
        return named_recipe(changes.pop("name"), **changes)

    @model_validator(mode="after")
    def _check(self) -> Self:
        try:
            self.made_recipe()
        except RecipeError as error:
            raise ValueError(str(error)) from error
        return self
