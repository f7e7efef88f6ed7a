"""The configuration's section `model`: the network, its training, and what a retrained model must hold."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import model_validator

from daemon.config.sections import ConflictError, Section, live, new_state, retrain
from daemon.config.units import Duration


class GateSettings(Section):
    enabled: bool = live(True, "Whether a retrained model must pass the gate; `false`: whatever is finite serves.")
    worse_error: float = live(
        0.10,
        "Share by which a retrained model's error on held-back windows may exceed that of the one in service.",
        ge=0,
    )
    worse_detection: float = live(
        0.05,
        "How much less of the area under the ROC curve it may have on injected anomalies, and on the stream's own.",
        ge=0,
        le=1,
    )


class StatisticsSettings(Section):
    time_of_day: bool = new_state(True, "Errors in multiples of what is usual at their hour.")
    caps: bool = new_state(True, "Anomalous errors teach the statistics no more than three times the 99 % quantile.")
    likelihood: bool = new_state(
        True, "How unlikely the latest errors are against earlier ones; `false`: plain errors."
    )
    tail: bool = new_state(True, "Unusual against the last days (peaks over threshold); `false`: likelihoods as such.")
    level: bool = new_state(True, "A value that stays off the warm-up's median adds to the rarity.")
    calibration: bool = new_state(
        True, "Rarity follows the rate of new episodes, so that the budget holds; `false`: it stays as at first."
    )


class RollbackSettings(Section):
    enabled: bool = live(True, "Whether a promotion is taken back when its alarms leave the budget.")
    slots: int = live(200, "Slots after a promotion in which it may be.", ge=1)
    times_budget: float = live(
        3.0,
        "How many times the budget's alarms leave it; the model before must do better on the same windows, too.",
        gt=0,
    )
    worse_error: float = live(
        0.10, "Share by which the error on the windows since must exceed that of the model before.", ge=0
    )


class ModelSettings(Section):
    architecture: Literal["masked-autoencoder", "manufacturing", "dense-3", "dense-4", "lstm", "transformer"] = (
        new_state(
            "masked-autoencoder",
            "Network that scores the stream. `manufacturing`, `dense-3` and `dense-4` look at one "
            "reading, the others at the window.",
        )
    )
    window: int = new_state(32, "Slots in a window.", ge=8, le=4096)
    scaling: Literal["range", "none"] = new_state(
        "range", "`range`: values in units of the warm-up's range; `none`: as they are, which must be about 0 to 1."
    )
    masked: int = retrain(
        4,
        "Newest slots of the window hidden from the network, which must guess them, 0 hides none; only of "
        "`masked-autoencoder` and `transformer`.",
        ge=0,
        le=64,
    )
    calendar: bool = retrain(True, "Whether the network sees time of day and week, where the warm-up is long enough.")
    copies: int = retrain(12, "Independent copies of the network, averaged.", ge=1, le=64)
    retrain_every: int = live(100, "Slots between two fine-tunings; 0 never trains after the first.", ge=0)
    apply_after: int = live(8, "Slots between the snapshot a training sees and the slot its result takes effect.", ge=1)
    time_limit: Duration = live(600, "A training that takes longer has failed.", ge=1)
    statistics: StatisticsSettings = live(
        StatisticsSettings(), "Parts on the way from errors to rarity; each can be left out."
    )
    gate: GateSettings = live(GateSettings(), "What a retrained model must hold against the one in service.")
    rollback: RollbackSettings = live(RollbackSettings(), "When a retrained model goes out of service by itself.")
    keep: int = live(10, "Model files kept, the newest; the one in service always is.", ge=1, le=10_000)
    bundle: Path | None = retrain(
        None, "Trained bundle (.safetensors, or .pt) to start from instead of training at the warm-up's end."
    )
    torchscript: Path | None = live(
        None, "Own model that scores the stream: a TorchScript file, which runs as code, and is never trained."
    )
    sha256: str | None = new_state(
        None, "SHA-256 of that file, in hexadecimal; with another one it is not run.", pattern="^[0-9a-f]{64}$"
    )

    @model_validator(mode="after")
    def _masked_fits(self) -> ModelSettings:
        if self.masked >= self.window:
            raise ConflictError(
                "masked", f"is {self.masked}, but window is only {self.window}; set masked below window"
            )
        if self.architecture == "transformer" and self.window in (9, 11):  # its attention has products so wide
            raise ConflictError(
                "window",
                f"is {self.window}, but a transformer's scores would then depend on the batch; "
                f"set window: {self.window + 1}",
            )
        if self.architecture == "transformer" and self.window > 512:
            raise ConflictError(
                "window",
                f"is {self.window}, but a transformer's attention grows by the square of it; set window: 512 or less",
            )
        if 0 < self.retrain_every < self.apply_after:
            raise ConflictError(
                "apply_after",
                f"is {self.apply_after}, but the next training starts after retrain_every: {self.retrain_every} slots; "
                f"set apply_after: {self.retrain_every} or less",
            )
        return self
