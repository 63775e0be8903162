"""Settings of training: data, negatives, teachers, recipe, development queries."""

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
        split: the qrels to train on.
        dev_split: the qrels to measure on; None, or one that does not exist, for none.
        share: share of the documents to use, chosen by a hash of their ids; this applies to judged
            documents too.
        queries: number of training queries, chosen by a hash of their ids; None for all.
        dev_queries: number of development queries to measure on during training.
        teach: whether teachers score this set.
        licence: of the data, for the card.

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
    """Return a section with all values of a recipe, none of them set."""
    hints = get_type_hints(Recipe)
    named: dict[str, Any] = {f.name: (hints[f.name] | None, None) for f in fields(Recipe)}
    name = (
        "    name: of the recipe that the other values change; 'twopass train --help' lists them.\n"
    )
    meanings = inspect.cleandoc(Recipe.__doc__ or "")
    described = meanings.replace("Attributes:\n", f"Attributes:\n{name}")
    return create_model(
        "RecipeSettings", __base__=_Section, __doc__=described, name=(str, "default"), **named
    )


RecipeSettings: Any = _changes()


class TrainSettings(_Section):
    """The training of a model.

    Attributes:
        data: the data to train on.
        root: base folder for relative paths of the data.
        model: the model to start from: a shipped one, a folder or a hub name.
        models: a folder with local copies of hub models, which are used first.
        layers: number of its layers to keep.
        take: which layers: "lower" or "even".
        hidden: train a new, smaller model of this width, with the model's embeddings projected.
        device: cpu, cuda, ...; None chooses the best available.
        recipe: a recipe's name, and values that override it.
        negatives: how they are chosen.
        teachers: encoders and cross-encoders whose scores are learned.
        filter_margin: drop negatives whose teacher score is above the relevant passage's minus this
            margin, in units of the teacher's spread; None drops nothing.
        leaks: what to do about queries and passages in both training and development data:
            "report", "drop" or "error".
        dev_depth: candidates reranked per development query.
        country: three-letter ISO code for codecarbon; None measures no emissions.
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
        """Return the recipe with the changed values.

        Raises:
            RecipeError: when no recipe has the name, or a value is not valid.

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
