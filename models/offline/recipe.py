"""A recipe: all that a training depends on beside its readings. The same recipe and readings give the same weights."""

from __future__ import annotations

import hashlib
from typing import Annotated, Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field, model_validator

from models.architecture_names import LABELLED
from models.architectures import ARCHITECTURES
from models.context import Inputs, past_slots
from models.network_config import NetworkConfig, Option, options

Share = Annotated[float, Field(gt=0)]
Task = Literal["reconstruct", "classify"]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class NetworkRecipe(_Section):
    """Architecture and shapes; see `models.network.NetworkConfig`."""

    architecture: str
    window: int = Field(default=32, ge=8, le=512)
    masked: int = Field(default=4, ge=1, le=64)
    copies: int = Field(default=1, ge=1, le=64)
    options: dict[str, Option] = {}

    def config(self, width: int, interval_s: int) -> NetworkConfig:
        """The shapes for readings of `width` variables every `interval_s` seconds."""
        return NetworkConfig(self.window, width, self.masked, self.copies, interval_s, options(self.options))


class TrainingRecipe(_Section):
    """How the weights are found.

    Attributes:
        epochs: At most so many.
        batch: Windows of a batch.
        rate: Learning rate, the greatest of the schedule.
        schedule: `constant`; `cosine`: down to a hundredth of `rate`; `step`: 0.3 of `rate` from 29/40 of all steps on.
        warm_up: Share of all steps in which the rate rises from nothing, whatever the schedule.
        weight_decay: Decoupled from the gradient, as in AdamW.
        average: Weight of the past in a running mean of the weights over the steps, less in the first steps: the mean
            is measured and kept; 0: the weights themselves are.
        clip: Greatest norm of the gradient of all weights; none: as it comes.
        patience: Epochs without a better validation loss after which training stops; 0: never.
    """

    epochs: int = Field(default=40, ge=1, le=10_000)
    batch: int = Field(default=64, ge=1, le=65_536)
    rate: float = Field(default=2e-3, gt=0)
    schedule: Literal["constant", "cosine", "step"] = "constant"
    warm_up: float = Field(default=0.0, ge=0, lt=1)
    weight_decay: float = Field(default=0.0, ge=0)
    average: float = Field(default=0.0, ge=0, lt=1)
    clip: float | None = Field(default=None, gt=0)
    patience: int = Field(default=0, ge=0)


class ExampleRecipe(_Section):
    """Labelled windows of `classify`: clean ones, and as many with one injected anomaly.

    Attributes:
        windows: Windows of each series, half of them anomalous.
        spread: What a strength is in units of, see `models.offline.examples`.
        strengths: Least and greatest strength in spreads, uniform between.
        lengths: Least and greatest length in readings, uniform between; a spike and a dip have 1.
        inputs: What the network sees of a reading, see `models.transformer`.
        fresh: What is drawn anew for each pass over the training part: `no`: nothing; `windows`: windows and anomalies;
            `series`: these, of series changed at random, see `models.offline.variation`.
        fresh_windows: How many are drawn for each series in training; none: as many as `windows`.
        seed: Seed of the windows and anomalies; the training's seed does not change them.
    """

    windows: int = Field(default=128, ge=2, multiple_of=2)
    spread: Literal["deviation", "residual"] = "deviation"
    strengths: tuple[float, float] = (1.5, 4.0)
    lengths: tuple[int, int] = (25, 125)
    inputs: Inputs = "value"
    fresh: Literal["no", "windows", "series"] = "no"
    fresh_windows: int | None = Field(default=None, ge=2, multiple_of=2)
    seed: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _ordered(self) -> ExampleRecipe:
        for name in ("strengths", "lengths"):
            low, high = getattr(self, name)
            if not 0 < low <= high:
                raise ValueError(f"{name} is {low} to {high}; give a positive least and a greatest not below it")
        return self


class Recipe(_Section):
    """One variant.

    Attributes:
        name: What tables call it.
        about: One line on where it comes from.
        task: `reconstruct` gives a scorer, `classify` tells normal from anomalous windows.
        split: Shares of training, validation and test: of time for `reconstruct`, of the series for `classify`.
        split_seed: Seed of the split by series.
    """

    version: Literal[1]
    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")
    about: str = ""
    task: Task
    network: NetworkRecipe
    training: TrainingRecipe = TrainingRecipe()
    split: tuple[Share, Share, Share] = (0.55, 0.10, 0.35)
    split_seed: int = Field(default=0, ge=0)
    examples: ExampleRecipe = ExampleRecipe()

    @model_validator(mode="after")
    def _of_its_task(self) -> Recipe:
        name = self.network.architecture
        if name in ARCHITECTURES and (name in LABELLED) != (self.task == "classify"):
            fitting = [each for each in ARCHITECTURES if (each in LABELLED) == (self.task == "classify")]
            raise ValueError(
                f"network.architecture is {name}, which is not for task {self.task}; use one of {', '.join(fitting)}"
            )
        return self

    @model_validator(mode="after")
    def _servable(self) -> Recipe:
        scaled = self.network.options.get("scaled", False)
        if self.task == "classify" and self.examples.inputs == "value" and not scaled:
            raise ValueError(
                "examples.inputs is value, but network.options.scaled is not set: a stream has other units than the "
                "examples; set scaled: true"
            )
        return self

    def classifier(self, interval_s: int) -> NetworkConfig:
        """The network's shapes for readings every `interval_s` seconds; a context needs seven days more."""
        n, inputs = self.network, self.examples.inputs
        window = n.window + (past_slots(interval_s) if inputs == "context" else 0)
        given = options({**n.options, "inputs": inputs})
        return NetworkConfig(window, 1, n.masked, n.copies, interval_s, given)

    def fingerprint(self, seed: int, readings: str, device: str) -> dict[str, str]:
        """What the weights depend on, each in a word; `readings` is their digest, as is the recipe's."""
        values = orjson.dumps(self.model_dump(exclude={"about"}), option=orjson.OPT_SORT_KEYS)
        recipe = hashlib.sha256(values).hexdigest()
        return {"recipe": recipe, "seed": str(seed), "readings": readings, "device": device}
