"""The schema as a list of keys: for messages, for the sample file, for the documentation and for reloads."""

from __future__ import annotations

import types
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

import annotated_types
from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from daemon.config.settings import Settings
from daemon.config.units import CENTURY_S, format_duration, format_size

NAME = "NAME"
"""Stands for a stream's name in a key path."""


@dataclass(frozen=True, slots=True)
class Key:
    """One key of the file.

    Attributes:
        path: As in `streams.NAME.sources[].path`.
        type: The type in words; `section`, `list of sections` and `sections by name` have keys of their own below.
        default: The default as it is written in the file; "" when the key has none.
        meaning: The description.
        effect: What a reload needs when the key changes: `live`, `retrain` or `state`; "" for sections.
        required: Whether the file must have it.
    """

    path: str
    type: str
    default: str
    meaning: str
    effect: str
    required: bool

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rpartition(".")[2]

    @property
    def section(self) -> bool:
        """Whether keys of its own follow below."""
        return "section" in self.type


def keys(model: type[BaseModel] = Settings, prefix: str = "") -> Iterator[Key]:
    """Every key, a section before the keys in it, in the order of the schema."""
    for name, field in model.model_fields.items():
        inner, kind = _inner(field.annotation)
        path = f"{prefix}{name}"
        extra = field.json_schema_extra
        effect = str(extra["effect"]) if isinstance(extra, dict) and inner is None else ""
        default = "" if inner or field.is_required() else written(field.default, field)
        if path == "version":
            default = ""
        type_text = kind or _type(field)
        yield Key(path, type_text, default, field.description or "", effect, field.is_required() or path == "version")
        if inner:
            suffix = {"section": ".", "list of sections": "[].", "sections by name": f".{NAME}."}[kind]
            yield from keys(inner, path + suffix)


def names_at(where: tuple[str | int, ...]) -> list[str]:
    """Names of the keys that the section at `where` may have."""
    model: type[BaseModel] = Settings
    rest = list(where)
    while rest:
        field = model.model_fields.get(str(rest.pop(0)))
        inner, kind = _inner(field.annotation) if field else (None, "")
        if inner is None:
            return []
        if kind != "section" and rest:
            rest.pop(0)
        model = inner
    return list(model.model_fields)


def written(value: Any, field: FieldInfo) -> str:
    """A value as the file would have it."""
    unit = _unit(field)
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if unit:
        return {"duration": format_duration, "size": format_size}[unit](value)
    if isinstance(value, str) and (value in {",", ".", "#"} or value.isdigit()):
        return f'"{value}"'
    return str(value)


def _inner(annotation: Any) -> tuple[type[BaseModel] | None, str]:
    """The section model inside an annotation, and what kind of section it is; `(None, "")` for a value."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation, "section"
    kinds = {list: "list of sections", dict: "sections by name"}
    for part in get_args(annotation) if get_origin(annotation) in kinds else ():
        if isinstance(part, type) and issubclass(part, BaseModel):
            return part, kinds[get_origin(annotation)]
    return None, ""


def _unit(field: FieldInfo) -> str:
    optional = [item for part in _union(field.annotation) for item in getattr(part, "__metadata__", ())]
    names = {getattr(getattr(item, "func", None), "__name__", "") for item in [*field.metadata, *optional]}
    return "duration" if "_duration" in names else "size" if "_size" in names else ""


def _type(field: FieldInfo) -> str:
    """The type in words, with its limits."""
    unit = _unit(field)
    text = unit or " or ".join(_word(part) for part in _union(field.annotation) if part is not type(None))
    low, high = _limits(field)
    if unit:
        form = {"duration": format_duration, "size": format_size}[unit]
        text += f", at least {form(int(low))}" if isinstance(low, int) and low else ""
        bounded = unit == "duration" and high is not None and high < CENTURY_S
        return text + (f", at most {form(high)}" if bounded else "")
    if isinstance(low, str):
        return f"{text} {low}" + (f", at most {high}" if high is not None else "")
    if low is not None and high is not None:
        return f"{text}, {low} to {high}"
    return f"{text}, at least {low}" if low is not None else text


def _limits(field: FieldInfo) -> tuple[int | str | None, Any]:
    low: int | str | None = None
    high: Any = None
    for item in field.metadata:
        match item:
            case annotated_types.Ge(ge):
                low = int(str(ge))
            case annotated_types.Gt(gt):
                low = f"above {gt}"
            case annotated_types.Le(le):
                high = le if high is None else min(high, le)
            case annotated_types.Lt(lt):
                high = int(str(lt)) - 1
    return low, high


def _union(annotation: Any) -> tuple[Any, ...]:
    return get_args(annotation) if get_origin(annotation) in {Union, types.UnionType} else (annotation,)


def _word(part: Any) -> str:
    if get_origin(part) is Literal:
        return ", ".join(f"`{option}`" for option in get_args(part))
    if get_origin(part) is list:
        return "list of texts" if get_args(part) == (str,) else "list of texts and numbers"
    if issubclass(part, BaseModel):
        return f"`{{{', '.join(part.model_fields)}}}`"
    words = {int: "whole number", float: "number", bool: "`true` or `false`", Path: "path"}
    return words.get(part) or {str: "text", SecretStr: "text"}[part]
