"""What every section of the configuration is made of: strict keys, and what a reload may do with a changed one."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator


class ConflictError(ValueError):
    """Keys that cannot hold together; `key` is relative to the section that raises, "" for the section itself."""

    def __init__(self, key: str, text: str) -> None:
        super().__init__(f"{key} {text}".lstrip())
        self.key = key
        self.text = text


def live(default: Any, description: str, **limits: Any) -> Any:
    """A key whose change takes effect at once."""
    return Field(default, description=description, json_schema_extra={"effect": "live"}, **limits)


def retrain(default: Any, description: str, **limits: Any) -> Any:
    """A key whose change takes effect with the stream's next model."""
    return Field(default, description=description, json_schema_extra={"effect": "retrain"}, **limits)


def new_state(default: Any, description: str, **limits: Any) -> Any:
    """A key that the stream's state is built on."""
    return Field(default, description=description, json_schema_extra={"effect": "state"}, **limits)


class Section(BaseModel):
    """Keys below a name; unknown ones are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=False)

    @model_validator(mode="before")
    @classmethod
    def _empty_is_default(cls, data: Any) -> Any:
        """A section whose keys are all commented out is null in YAML and means its defaults."""
        return {} if data is None else data
