"""Many variables, one error: each in units of what is usual for it, then a mean that follows the greatest."""

from __future__ import annotations

from typing import Any

from daemon.engine.kernel.compiled import compiled

POWER = 8  # of the mean over variables: one of a thousand that is ten times its usual error still shows
LEAST_USUAL = 0.25  # of the mean usual error: a variable that hardly moves does not drown the others
MOST_LEARNED = 5.0  # usual errors that one reading may teach
MEMORY = 0.999  # share of the usual error that stays with each reading


@compiled
def combine(errors: Any, usual: Any, surprise: Any) -> float:
    """One error of a reading with several variables, and how surprising each variable is.

    The power mean of the variables' errors, each in multiples of its usual one, in units of the mean usual error. Of
    a single variable it is the error itself.

    Args:
        errors: Error of each variable, units of the variable's own range, shape (F,).
        usual: Usual error of each variable, same units, shape (F,).
        surprise: Written: error in multiples of the usual one, shape (F,).
    """
    width = len(errors)
    level = mean(usual)
    total = 0.0
    for f in range(width):
        surprise[f] = errors[f] / max(usual[f], LEAST_USUAL * level, 1e-9)
        total += surprise[f] ** POWER
    if width == 1:
        return float(errors[0])
    return float(level * (total / width) ** (1.0 / POWER))


@compiled
def window_error(newest: float, rms: float, width: int) -> float:
    """The error that stands for the whole window.

    The root mean squared error of a single variable's. A window of several is far more than the bottleneck holds, so
    that its error says little of any one of them: there the newest error, which the statistics then average.
    """
    return rms if width == 1 else newest


@compiled
def learn(errors: Any, usual: Any) -> None:
    """Move the usual error of each variable a little towards a reading's; of a great one `MOST_LEARNED` count."""
    least = LEAST_USUAL * mean(usual)
    for f in range(len(errors)):
        most = MOST_LEARNED * max(usual[f], least)
        usual[f] = MEMORY * usual[f] + (1.0 - MEMORY) * min(errors[f], most)


@compiled
def mean(usual: Any) -> float:
    """Mean over variables, shape (F,), in order."""
    total = 0.0
    for f in range(len(usual)):
        total += usual[f]
    return total / len(usual)
