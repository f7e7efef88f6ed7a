"""Fitting a network: epochs, schedule, early stopping on validation only, and going on after an interruption.

Whatever is random in an epoch is drawn anew from the seed and the epoch's number, so a training that goes on from the
state at an epoch's end comes to the same weights, bit for bit, as one that was never interrupted (same machine, same
number of threads).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from models.offline.recipe import TrainingRecipe
from models.offline.training_checkpoints import (
    Arrays,
    CheckpointError,
    read_checkpoint,
    tensors_to_arrays,
    under,
    write_checkpoint,
)

Part = Literal["train", "validation", "test"]
Rows = npt.NDArray[np.int64]

STEP_AT, STEP_TO = 29 / 40, 0.3  # of schedule: step
COSINE_TO = 0.01


@dataclass(frozen=True)
class Epoch:
    """What one pass came to. Losses of training are the mean of its batches, with dropout at work.

    Attributes:
        number: From 1.
        rate: Learning rate of its last step.
        train_loss, validation_loss: Means over windows.
        train_accuracy, validation_accuracy: Share of windows put into the right class; None where there are no classes.
    """

    number: int
    rate: float
    train_loss: float
    validation_loss: float
    train_accuracy: float | None = None
    validation_accuracy: float | None = None


@dataclass
class Progress:
    """Where a training is.

    Attributes:
        epochs: What each pass came to.
        best: Number of the pass with the least validation loss, 0 before the first.
        ended: Why it ended: `epochs`, `patience` or `diverged`; "" while it goes on.
    """

    epochs: list[Epoch] = field(default_factory=list)
    best: int = 0
    ended: str = ""

    @property
    def best_loss(self) -> float:
        """Least validation loss so far."""
        return self.epochs[self.best - 1].validation_loss if self.best else math.inf


class TrainingError(ValueError):
    """A training that came to nothing; the message says why and what to do."""


class Lesson(Protocol):
    """What is learned: batches of a part's windows, their loss, and how well they are known."""

    def batches(self, rng: np.random.Generator, size: int) -> Iterator[Rows]:
        """Rows of each batch of one pass over the training part, in an order drawn from `rng`."""

    def steps(self, size: int) -> int:
        """Batches of one pass."""

    def loss(self, model: nn.Module, rows: Rows) -> tuple[torch.Tensor, float | None]:
        """Loss to be reduced, a scalar, and the batch's accuracy where there are classes."""

    def measure(self, model: nn.Module, part: Part) -> tuple[float, float | None]:
        """Mean loss over a part, without dropout, and its accuracy where there are classes."""


Say = Callable[[int, int, str], None]
"""Takes steps done, steps in all and the last figures in words."""


def fit(
    model: nn.Module,
    lesson: Lesson,
    recipe: TrainingRecipe,
    seed: int,
    checkpoint: Path | None = None,
    fingerprint: Mapping[str, str] = MappingProxyType({}),
    say: Say = lambda done, total, note: None,
) -> Progress:
    """Train `model` in place; it ends with the weights of its best pass.

    Args:
        model: On the device to train on.
        lesson: What it learns.
        recipe: How.
        seed: Of the order of the windows and of dropout.
        checkpoint: File that holds the state after each pass; one that is there is continued. None: none.
        fingerprint: What the weights depend on beside the code, by name; a checkpoint of anything else is refused.
        say: Told after every batch.

    Raises:
        CheckpointError: The checkpoint is damaged, or of another training.
        OSError: The checkpoint cannot be written; the one before is whole.
    """
    run = _Run(model, lesson, recipe, seed, checkpoint, fingerprint)
    run.restore()
    while not run.progress.ended:
        run.one_epoch(say)
        run.save()
    run.take_best()
    return run.progress


class _Run:
    """A training under way."""

    def __init__(
        self,
        model: nn.Module,
        lesson: Lesson,
        recipe: TrainingRecipe,
        seed: int,
        path: Path | None,
        fingerprint: Mapping[str, str],
    ) -> None:
        self.model, self.lesson, self.recipe, self.seed = model, lesson, recipe, seed
        self.path, self.fingerprint = path, fingerprint
        self.progress = Progress()
        self.best: Arrays = {}
        self.mean = {name: value.clone() for name, value in model.state_dict().items()} if recipe.average else {}
        self.optimiser = torch.optim.AdamW(model.parameters(), lr=recipe.rate, weight_decay=recipe.weight_decay)
        self.epoch_steps = lesson.steps(recipe.batch)
        self.total = recipe.epochs * self.epoch_steps

    def one_epoch(self, say: Say) -> None:
        """One pass over the training part, and the measure on the validation part."""
        number = len(self.progress.epochs) + 1
        losses, accuracies = [], []
        self.model.train()
        with torch.random.fork_rng(devices=_cuda_devices(self.model)):
            torch.manual_seed(int(np.random.default_rng([self.seed, number, 1]).integers(2**62)))
            for at, rows in enumerate(
                self.lesson.batches(np.random.default_rng([self.seed, number]), self.recipe.batch)
            ):
                done = (number - 1) * self.epoch_steps + at
                loss, accuracy = self._step(rows, done)
                losses.append(loss)
                accuracies.append(accuracy)
                say(done + 1, self.total, self._words(losses))
        self.model.eval()
        with self._averaged(), torch.no_grad():
            validation_loss, validation_accuracy = self.lesson.measure(self.model, "validation")
            kept = tensors_to_arrays("best", self.model.state_dict())
        known = [a for a in accuracies if a is not None]
        self._count(
            Epoch(
                number,
                rate_at(self.recipe, number * self.epoch_steps - 1, self.total),
                float(np.mean(losses)),
                validation_loss,
                float(np.mean(known)) if known else None,
                validation_accuracy,
            ),
            kept,
        )

    def _step(self, rows: Rows, done: int) -> tuple[float, float | None]:
        for group in self.optimiser.param_groups:
            group["lr"] = rate_at(self.recipe, done, self.total)
        self.optimiser.zero_grad(set_to_none=False)
        loss, accuracy = self.lesson.loss(self.model, rows)
        loss.backward()  # type: ignore[no-untyped-call]
        if self.recipe.clip is not None:
            nn.utils.clip_grad_norm_(self.model.parameters(), self.recipe.clip)
        self.optimiser.step()
        self._average(done)
        return float(loss.detach()), accuracy

    def _average(self, done: int) -> None:
        """Take the weights after a step, counted from 0, into their mean."""
        past = min(self.recipe.average, (1 + done) / (10 + done))
        for name, value in self.model.state_dict().items() if self.mean else ():
            self.mean[name].lerp_(value, 1 - past)

    @contextmanager
    def _averaged(self) -> Iterator[None]:
        """The model has the mean of its weights inside."""
        own = {name: value.clone() for name, value in self.model.state_dict().items()}
        self.model.load_state_dict(self.mean or own)
        yield
        self.model.load_state_dict(own)

    def _words(self, losses: list[float]) -> str:
        said = f"loss {np.mean(losses[-50:]):.4g}"
        return said + (f", validation {self.progress.epochs[-1].validation_loss:.4g}" if self.progress.epochs else "")

    def _count(self, epoch: Epoch, kept: Arrays) -> None:
        """Add a pass; keep its weights, or their mean, when they are the best, and see whether it was the last."""
        p = self.progress
        finite = math.isfinite(epoch.train_loss) and math.isfinite(epoch.validation_loss)
        if finite and epoch.validation_loss < p.best_loss:
            p.epochs.append(epoch)
            p.best = epoch.number
            self.best = kept
        else:
            p.epochs.append(epoch)
        if not finite:
            p.ended = "diverged"
        elif epoch.number == self.recipe.epochs:
            p.ended = "epochs"
        elif self.recipe.patience and epoch.number - p.best >= self.recipe.patience:
            p.ended = "patience"

    def take_best(self) -> None:
        """Give the model the weights of its best pass."""
        if self.best:
            _load(self.model, under("best", self.best))
        self.model.eval()

    # -- the state on disk -------------------------------------------------------------------------------------------

    def save(self) -> None:
        """Write the checkpoint."""
        if self.path is None:
            return
        arrays = tensors_to_arrays("now", self.model.state_dict()) | tensors_to_arrays("mean", self.mean) | self.best
        for index, state in self.optimiser.state_dict()["state"].items():
            arrays |= tensors_to_arrays(f"optimiser/{index}", state)
        p = self.progress
        meta = {
            "fingerprint": dict(self.fingerprint),
            "epochs": [_jsonable(asdict(e)) for e in p.epochs],
            "best": p.best,
            "ended": p.ended,
        }
        write_checkpoint(self.path, meta, arrays)

    def restore(self) -> None:
        """Go on from the checkpoint, where there is one."""
        found = read_checkpoint(self.path) if self.path is not None else None
        if found is None:
            return
        meta, arrays = found
        others = [name for name, own in self.fingerprint.items() if meta["fingerprint"].get(name) != own]
        if others:
            raise CheckpointError(
                f"{self.path}: is of another training, which differs in {', '.join(others)}; "
                "name another --out, or remove it to begin again"
            )
        epochs = [Epoch(**_from_json(e)) for e in meta["epochs"]]
        self.progress = Progress(epochs, meta["best"], meta["ended"])
        _load(self.model, under("now", arrays))
        self.mean = {name: torch.from_numpy(value).to(self.mean[name]) for name, value in under("mean", arrays).items()}
        self.best = {name: array for name, array in arrays.items() if name.startswith("best/")}
        self._restore_optimiser(under("optimiser", arrays))

    def _restore_optimiser(self, arrays: Arrays) -> None:
        whole = self.optimiser.state_dict()
        state: dict[int, dict[str, torch.Tensor]] = {}
        for name, array in arrays.items():
            index, key = name.split("/")
            state.setdefault(int(index), {})[key] = torch.from_numpy(array)
        self.optimiser.load_state_dict({**whole, "state": state})


def check_learned(progress: Progress, name: str, recipe: TrainingRecipe) -> None:
    """See that a training has a best pass, whose weights can be kept.

    Raises:
        TrainingError: Its loss was no finite number from the first pass on.
    """
    if not progress.best:
        raise TrainingError(
            f"recipe {name}: the loss is no number from the first epoch on; training.rate is {recipe.rate:g}, lower it"
            + ("" if recipe.clip else " or set training.clip")
        )


def rate_at(recipe: TrainingRecipe, step: int, total: int) -> float:
    """Learning rate of a step, counted from 0, of `total`."""
    risen = math.ceil(recipe.warm_up * total)
    if step < risen:
        return recipe.rate * (step + 1) / risen
    if recipe.schedule == "step":
        return recipe.rate * (STEP_TO if step >= STEP_AT * total else 1.0)
    if recipe.schedule == "cosine":
        share = (step - risen) / max(1, total - risen)
        return recipe.rate * (COSINE_TO + (1 - COSINE_TO) * (1 + math.cos(math.pi * share)) / 2)
    return recipe.rate


def _load(model: nn.Module, arrays: Arrays) -> None:
    model.load_state_dict({name: torch.from_numpy(array) for name, array in arrays.items()})


def _jsonable(epoch: dict[str, Any]) -> dict[str, Any]:
    """JSON has no NaN and no infinity; both are a loss that is gone."""
    return {k: "nan" if isinstance(v, float) and not math.isfinite(v) else v for k, v in epoch.items()}


def _from_json(epoch: dict[str, Any]) -> dict[str, Any]:
    return {key: math.nan if value == "nan" else value for key, value in epoch.items()}


def _cuda_devices(model: nn.Module) -> list[int]:
    device = next(model.parameters()).device
    return [device.index or 0] if device.type == "cuda" else []
