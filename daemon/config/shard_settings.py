"""The configuration's section `shard`: which part of the series this daemon watches."""

from __future__ import annotations

from pydantic import model_validator

from daemon.config.sections import ConflictError, Section, new_state

MOST = 10_000


class ShardSettings(Section):
    index: int = new_state(0, "Which of the parts this is, from 0.", ge=0, lt=MOST)
    of: int = new_state(
        1, "Parts that the series are split into, by their names; 1: all are watched here.", ge=1, le=MOST
    )

    @model_validator(mode="after")
    def _one_of_them(self) -> ShardSettings:
        if self.index >= self.of:
            raise ConflictError(
                "index", f"is {self.index}, but of {self.of} parts the last is {self.of - 1}; set it lower"
            )
        return self
