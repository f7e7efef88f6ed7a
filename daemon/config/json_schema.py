"""The schema of the configuration as JSON Schema, for editors that complete and check a file while it is written."""

from __future__ import annotations

from typing import Any

from daemon.config.settings import Settings

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def json_schema() -> dict[str, Any]:
    """What a configuration file may hold; `tidegauge check` knows more, such as which keys cannot go together.

    A section whose keys are all commented out is null in YAML, which is taken.
    """
    made: dict[str, Any] = Settings.model_json_schema(mode="serialization")
    for section in made["$defs"].values():
        if section.get("type") == "object":
            section["type"] = ["object", "null"]
    return {"$schema": DIALECT, **made, "title": "Tidegauge's configuration", "required": ["version", "streams"]}
