"""Training as a pure function: the same request gives the same bundle, bit for bit, in whatever process it runs."""

from __future__ import annotations

import math
import platform
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from models.architectures import build
from models.bundle import Bundle
from models.manifest import Manifest
from models.network import Network
from models.scorer import one_thread
from models.training_request import ARRAYS, TrainingRequest

MAX_STEPS = 4000  # optimiser steps of a fresh training, whatever the number of windows
_EPOCHS = 40
_JOINT_EPOCHS = 120  # where there are several variables, whose relations are learned beside their shapes
_BATCH = 64
_RATE, _LATE_RATE = 2e-3, 6e-4
_TUNE_STEPS = 20
_TUNE_RATE = 1e-3
_TUNE_HALF = 32  # windows from the recent rows in a tuning batch, and as many from all rows

Progress = Callable[[float], None]
Batches = Iterator[tuple[npt.NDArray[np.int64], float]]  # rows of each copy (K, B), and the rate of this step


class TrainingDiverged(ValueError):  # noqa: N818 - an outcome's name
    """The loss or a weight is no longer finite; there is no network to serve."""


class _Adam:
    """Adam over all parameters of a model as one flat vector: a step is six vector operations.

    The model's parameters and gradients become views of it, so autograd writes gradients in place.

    Source:
        Kingma and Ba 2015, arXiv:1412.6980, algorithm 1, with their constants.
    """

    _B1, _B2, _EPS = 0.9, 0.999, 1e-8

    def __init__(self, model: Network, state: dict[str, npt.NDArray[Any]]) -> None:
        parameters = list(model.parameters())
        self.weights = torch.cat([p.detach().flatten() for p in parameters])  # (P,)
        self.gradient = torch.zeros_like(self.weights)
        self.first = torch.zeros_like(self.weights)
        self.second = torch.zeros_like(self.weights)
        self.steps = 0
        at = 0
        for p in parameters:
            rows = slice(at, at + p.numel())
            p.data, p.grad = self.weights[rows].view_as(p), self.gradient[rows].view_as(p)
            at = rows.stop
        if state:  # a bundle from elsewhere may have none: its tuning begins anew
            self._restore(state)

    def _restore(self, state: dict[str, npt.NDArray[Any]]) -> None:
        if set(state) != {"steps", "first", "second"} or state["first"].shape != tuple(self.first.shape):
            raise ValueError("the parent's optimiser state does not fit the network")
        self.steps = int(state["steps"])
        self.first.numpy()[...] = state["first"]
        self.second.numpy()[...] = state["second"]

    def state(self) -> dict[str, npt.NDArray[Any]]:
        return {
            "steps": np.array(self.steps, np.int64),
            "first": self.first.numpy().copy(),
            "second": self.second.numpy().copy(),
        }

    def step(self, loss: torch.Tensor, rate: float) -> None:
        self.gradient.zero_()
        loss.backward()  # type: ignore[no-untyped-call]
        self.steps += 1
        self.first.lerp_(self.gradient, 1 - self._B1)
        self.second.mul_(self._B2).addcmul_(self.gradient, self.gradient, value=1 - self._B2)
        spread = self.second.sqrt().div_(math.sqrt(1 - self._B2**self.steps)).add_(self._EPS)
        with torch.no_grad():
            self.weights.addcdiv_(self.first, spread, value=-rate / (1 - self._B1**self.steps))


def train(request: TrainingRequest, progress: Progress | None = None) -> Bundle:
    """Trains a network; a pure function, bitwise deterministic on one machine, on one thread, which it sets.

    Args:
        request: Everything the result depends on.
        progress: Called with the share done, 0 to 1, after each step; it must not depend on time or change anything.

    Returns:
        The bundle, with the optimiser's state for the next tuning.

    Raises:
        TrainingDiverged: The loss or a weight is not finite.
        ValueError: The parent's shapes are not those asked for.
    """
    one_thread()
    parent = request.parent if request.kind == "tune" else None
    total, batches = _fresh_batches(request) if parent is None else _tune_batches(request)
    with torch.inference_mode(False), torch.enable_grad(), torch.random.fork_rng(devices=[]):
        seed = np.random.default_rng([request.seed, request.slot % 2**64]).integers(2**63)
        torch.manual_seed(int(seed))  # of dropout
        model = build(request.architecture, request.network, request.seed)
        if parent is not None:
            _load(model, parent)
        adam = _Adam(model, parent.optimiser if parent is not None else {})
        arrays = [torch.tensor(getattr(request, name)) for name in ARRAYS]
        losses = []
        for done, (rows, rate) in enumerate(batches, 1):
            index = torch.from_numpy(rows)
            loss = model.loss(*(array[index] for array in arrays))
            adam.step(loss, rate)
            losses.append(loss.detach())
            if progress is not None:
                progress(done / total)
    loss_at_end = float(torch.stack(losses[-_TUNE_STEPS:]).double().mean()) / request.copies
    if not math.isfinite(loss_at_end) or not bool(torch.isfinite(adam.weights).all()):
        raise TrainingDiverged(f"{request.id}: loss is {loss_at_end} after {len(losses)} steps")
    weights = {name: p.detach().numpy().copy() for name, p in model.named_parameters()}
    return Bundle(_manifest(request, loss_at_end), weights, adam.state())


def _fresh_batches(request: TrainingRequest) -> tuple[int, Batches]:
    """40 epochs, 120 of several variables, at most `MAX_STEPS` steps; each copy has its own order of rows."""
    count = len(request.x)
    epoch_steps = -(-count // _BATCH)
    epochs = _EPOCHS if request.width == 1 else _JOINT_EPOCHS
    total = min(max(1, min(epochs, MAX_STEPS // epoch_steps)) * epoch_steps, MAX_STEPS)

    def batches() -> Batches:
        rng = np.random.default_rng(request.seed)
        for step in range(total):
            at = step % epoch_steps * _BATCH
            if at == 0:
                order = np.stack([rng.permutation(count) for _ in range(request.copies)])
            # the recipe's 29 of 40 epochs at the high rate
            yield order[:, at : at + _BATCH].copy(), _RATE if step < total * 29 // 40 else _LATE_RATE

    return total, batches()


def _tune_batches(request: TrainingRequest) -> tuple[int, Batches]:
    """20 steps, each half on recent rows and half on all; the slot is part of the seed, so tunings differ."""
    count, shape = len(request.x), (request.copies, _TUNE_HALF)
    recent = min(max(request.recent, 1), count)

    def batches() -> Batches:
        rng = np.random.default_rng([request.seed, request.slot % 2**64])
        for _ in range(_TUNE_STEPS):
            halves = rng.integers(count - recent, count, shape), rng.integers(0, count, shape)
            yield np.concatenate(halves, 1), _TUNE_RATE

    return _TUNE_STEPS, batches()


def _load(model: Network, parent: Bundle) -> None:
    """Copies the parent's weights into `model`."""
    for name, p in model.named_parameters():
        weight = parent.weights.get(name)
        if weight is None or weight.shape != tuple(p.shape):
            raise ValueError(f"parent {parent.digest[:12]} has other shapes than the network to tune: {name}")
        p.data.numpy()[...] = weight


def _manifest(request: TrainingRequest, loss: float) -> Manifest:
    return Manifest(
        architecture=request.architecture,
        window=request.window,
        width=request.width,
        masked=request.masked,
        copies=request.copies,
        options=request.options,
        interval_s=request.interval_s,
        daily=request.daily,
        weekly=request.weekly,
        stream=request.stream,
        seed=request.seed,
        kind=request.kind,
        trained_from=request.trained_from,
        trained_to=request.trained_to,
        windows=len(request.x),
        parent=request.parent.digest if request.kind == "tune" and request.parent is not None else None,
        loss=loss,
        versions={"torch": str(torch.__version__), "numpy": np.__version__, "python": platform.python_version()},
    )
