"""Recipes by name, as shipped, or from a YAML file."""

from __future__ import annotations

import importlib.resources
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from pydantic import ValidationError

from models.offline.history import History
from models.offline.recipe import Recipe

if TYPE_CHECKING:
    from models.network import Network

_MOST_BYTES = 1 << 16


class RecipeError(ValueError):
    """A recipe that cannot be used; the message says where and why."""


def shipped() -> list[str]:
    """Names of the recipes that come with Tidegauge."""
    files = importlib.resources.files("models") / "recipes"
    return sorted(entry.name.removesuffix(".yaml") for entry in files.iterdir() if entry.name.endswith(".yaml"))


def read(name: str) -> Recipe:
    """A shipped recipe, or that of a file whose name ends in `.yaml` or `.yml`.

    Raises:
        RecipeError: There is no such recipe, or it has a mistake.
        OSError: The file cannot be read.
    """
    if name.endswith((".yaml", ".yml")):
        return parse(Path(name).read_text(), name)
    if name not in shipped():
        raise RecipeError(f"no recipe {name!r}; there are {', '.join(shipped())}, or name a file ending in .yaml")
    return parse((importlib.resources.files("models") / "recipes" / f"{name}.yaml").read_text(), name)


def parse(text: str, where: str) -> Recipe:
    """The recipe of a YAML text.

    Raises:
        RecipeError: It is not YAML, or has a mistake; each mistake is named with its key.
    """
    if len(text) > _MOST_BYTES:
        raise RecipeError(f"{where}: longer than {_MOST_BYTES} bytes; this is no recipe")
    try:
        values = yaml.safe_load(text)
        if not isinstance(values, dict):
            raise RecipeError(f"{where}: is {type(values).__name__}, but a recipe is keys and values")
        return Recipe.model_validate(values)
    except yaml.YAMLError as error:
        raise RecipeError(f"{where}: not YAML: {' '.join(str(error).split())}") from error
    except ValidationError as error:
        found = "; ".join(_mistake(each) for each in error.errors())
        raise RecipeError(f"{where}: {found}") from error


def _mistake(error: Mapping[str, Any]) -> str:
    """One of pydantic's errors, with its key; that of a section says itself which keys it is about."""
    key = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        return f"{key} is not a known key"
    if error["type"] == "missing":
        return f"{key} is missing"
    if error["type"] == "value_error":
        return f"{key}: {error['ctx']['error']}".removeprefix(": ")
    return f"{key} is {error['input']!r}: {error['msg']}"


def check(chosen: Sequence[Recipe], task: str, histories: Sequence[History]) -> None:
    """See that every recipe can be trained on these readings, before the first one is.

    Args:
        chosen: The recipes of one command.
        task: What the command trains: `reconstruct` or `classify`.
        histories: The readings, at least one series.

    Raises:
        RecipeError: A recipe is of another task, two have one name, or a network cannot be built.
    """
    if wrong := [r.name for r in chosen if r.task != task]:
        raise RecipeError(
            f"recipe {', '.join(wrong)} is not for this task ({task}); shipped are {', '.join(shipped())}"
        )
    names = [r.name for r in chosen]
    if len(set(names)) != len(names):
        name = max(names, key=names.count)
        raise RecipeError(f"two recipes are named {name}, so their results would have one directory; change a name")
    for recipe in chosen:
        try:
            network_of(recipe, histories)
        except ValueError as error:
            raise RecipeError(f"recipe {recipe.name}: network: {error}") from error


def network_of(recipe: Recipe, histories: Sequence[History]) -> Network:
    """A recipe's network for these readings, freshly initialised.

    Raises:
        ValueError: It cannot be built.
    """
    from models.architectures import build

    width, interval_s = histories[0].values.shape[1], histories[0].interval_s
    classifies = recipe.task == "classify"
    config = recipe.classifier(interval_s) if classifies else recipe.network.config(width, interval_s)
    return build(recipe.network.architecture, config)


def to_yaml(recipe: Recipe) -> str:
    """A recipe with every key, so that it means the same when defaults change."""
    return yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False)
