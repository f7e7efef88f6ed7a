"""Recipes by name, as shipped, or from a YAML file."""

from __future__ import annotations

import importlib.resources
from pathlib import Path

import yaml
from pydantic import ValidationError

from models.offline.recipe import Recipe

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
        found = [f"{'.'.join(str(p) for p in e['loc'])} is {e['input']!r}: {e['msg']}" for e in error.errors()]
        raise RecipeError(f"{where}: {'; '.join(found)}") from error


def to_yaml(recipe: Recipe) -> str:
    """A recipe with every key, so that it means the same when defaults change."""
    return yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False)
