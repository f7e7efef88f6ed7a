"""Series made by rule: a season with noise of a known kind and no anomaly, so that every alarm on one is false.

A figure measured on them is comparable only with one of the same `GENERATOR`.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

GENERATOR = "seasonal-1"

Noise = Literal["gaussian", "ar1", "t3"]
NOISES: tuple[Noise, ...] = get_args(Noise)

Floats = npt.NDArray[np.float64]

_DAYS = 7
_HARMONICS = 3  # of the day
_MEMORY = 0.8  # of ar1 noise: its correlation from one reading to the next
_DEGREES = 3  # of freedom of t3 noise: its variance is finite, its fourth moment is not


def noise(kind: Noise, count: int, rng: np.random.Generator) -> Floats:
    """Noise of mean 0 and variance 1, shape (count,).

    `gaussian` is independent from reading to reading; `ar1` is Gaussian too, and remembers: its correlation is 0.8 from
    one reading to the next; `t3` is independent, and heavy-tailed: Student's t with 3 degrees of freedom.
    """
    if kind == "t3":
        heavy: Floats = rng.standard_t(_DEGREES, count) / np.sqrt(_DEGREES / (_DEGREES - 2))
        return heavy
    shocks = rng.standard_normal(count)
    if kind == "ar1":
        shocks[1:] *= np.sqrt(1 - _MEMORY**2)
        for i in range(1, count):
            shocks[i] += _MEMORY * shocks[i - 1]
    return shocks


def seasonal(kind: Noise, days: int, slots_per_day: int, seed: int | tuple[int, ...]) -> Floats:
    """One series: level, a daily season of three harmonics, other weekends for half of them, and noise.

    The season's standard deviation is 1, the noise's is drawn from 0.05 to 0.5. For half of the series the season's
    size varies too, from day to day (10 %); the others' season has no noise.

    Args:
        kind: Of the noise.
        days: Days, the first a Monday.
        slots_per_day: Readings of a day.
        seed: Equal arguments give equal bits.

    Returns:
        Shape (days * slots_per_day,).

    >>> seasonal("t3", 2, 24, 0).shape
    (48,)
    """
    rng = np.random.default_rng(seed)
    at = np.arange(slots_per_day) / slots_per_day * 2 * np.pi
    order = np.arange(1, _HARMONICS + 1)[:, None]  # (H, 1)
    parts = np.sin(order * at + rng.uniform(0, 2 * np.pi, order.shape)) * rng.normal(0, 1, order.shape) / order
    day = parts.sum(axis=0)
    day /= day.std()  # (slots_per_day,)
    weekend = 0.5 if rng.random() < 0.5 else 1.0
    varies = 0.1 if rng.random() < 0.5 else 0.0
    sizes = np.where(np.arange(days) % _DAYS >= 5, weekend, 1.0) * (1 + varies * rng.standard_normal(days))
    strength, level, unit = rng.uniform(0.05, 0.5), rng.uniform(-5, 50), 10 ** rng.uniform(-2, 3)
    season = (sizes[:, None] * day).reshape(-1)
    made: Floats = unit * (level + season + strength * noise(kind, len(season), rng))
    return made


DRIVEN = "driven-1"
"""Names the rules of `driven` and `break_vector`: figures of another generator are not comparable."""

Fault = Literal["one variable off", "one variable in range", "relation broken"]
FAULTS: tuple[Fault, ...] = get_args(Fault)

_LOAD_PERIODS = (60.0, 2000.0)  # slots, of the hidden loads
_DRIVEN_NOISE = 0.05  # of a variable, whose own movement is about 0.6
_OFF = 3.0  # standard deviations that one variable is off by
_BROKEN = 20  # a broken relation takes one variable of so many


def driven(slots: int, width: int, loads: int, seed: int) -> Floats:
    """Vectors of many sensors that a few hidden loads drive, so that one sensor says much of the others.

    Each load is a sum of three sines; a sensor is the hyperbolic tangent of a mixture of the loads, with a little noise
    of its own.

    Args:
        slots: Vectors (N).
        width: Sensors (F).
        loads: Hidden loads, far fewer.
        seed: Equal arguments give equal bits.

    Returns:
        Shape (N, F), about -1.2 to 1.2.
    """
    rng = np.random.default_rng(seed)
    shortest, longest = np.log(_LOAD_PERIODS)
    period = np.exp(rng.uniform(shortest, longest, (3, loads)))
    phase = rng.uniform(0, 2 * np.pi, (3, loads))
    at = np.arange(slots)[:, None, None]
    load = np.sin(2 * np.pi * at / period + phase).sum(1) / np.sqrt(1.5)  # (N, loads), variance 1
    mixed = load @ (rng.standard_normal((loads, width)) / np.sqrt(loads))  # (N, F)
    made: Floats = np.tanh(mixed) + _DRIVEN_NOISE * rng.standard_normal((slots, width))
    return made


def break_vector(values: Floats, at: int, length: int, fault: Fault, seed: int) -> tuple[Floats, npt.NDArray[np.int64]]:
    """Vectors with a fault in `length` slots from `at` on.

    `one variable off` moves one by 3 of its standard deviations. The others keep every variable in its range: they
    hold the values of as many slots elsewhere, in one variable or in every twentieth.

    Returns:
        A copy, shape (N, F), and the variables at fault.
    """
    rng = np.random.default_rng([seed, at])
    out, width = values.copy(), values.shape[1]
    count = width // _BROKEN if fault == "relation broken" else 1
    chosen = np.sort(rng.choice(width, max(1, count), replace=False))
    rows = np.arange(at, at + length)
    if fault == "one variable off":
        out[rows[:, None], chosen] += _OFF * values[:, chosen].std(0) * rng.choice((-1.0, 1.0))
        return out, chosen
    elsewhere = int(rng.integers(0, len(values) - length))
    out[rows[:, None], chosen] = values[elsewhere : elsewhere + length][:, chosen]
    return out, chosen
