"""Events: what the engine says about an episode, and the one schema every sink, table and file uses."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from enum import IntEnum
from typing import Any, Literal, get_args


class Reason(IntEnum):
    """Why a slot is anomalous. The order is that of events of one slot, of bits and of counters; it never changes."""

    MODEL = 0
    NOVELTY = 1
    LIMIT = 2
    FLATLINE = 3
    GAP = 4
    DRIFT = 5
    COUNTER = 6
    REPLACED = 7

    @property
    def word(self) -> str:
        """Its name in events, metrics and the API."""
        return self.name.lower()

    @property
    def bit(self) -> int:
        """What it is in a set of reasons; a plain integer, as compiled code takes it."""
        return 1 << int(self)


REASONS: tuple[str, ...] = tuple(reason.word for reason in Reason)
"""Their words, in their order."""

State = Literal["open", "closed"]
Severity = Literal["info", "warning", "critical"]
SEVERITIES: tuple[Severity, ...] = get_args(Severity)
"""From the least to the greatest."""

CRITICAL = 2.0  # decades of rarity beyond the threshold

RULE_SCORE = 1.001
"""The score of what a rule alone found: one alert on "score > 1" sees every anomaly."""


@dataclass(frozen=True, slots=True)
class Event:
    """One revision of one episode. `(id, revision)` is the key; a higher revision replaces a lower one.

    Attributes:
        id: Deterministic: 16 hexadecimal digits of SHA-256 over stream, series, kind of episode and first slot.
        revision: 0 when the episode opens; one more each time it says something new; the last when it closes.
        stream: Name of the stream.
        series: Name of the series, None for an event of the whole stream.
        state: `open` or `closed`.
        reasons: Reasons seen so far, in the order of `REASONS`.
        started_at: First anomalous slot, epoch seconds UTC.
        ended_at: Last slot so far whose reading was odd itself, epoch seconds UTC.
        at: Slot that caused this revision, epoch seconds UTC.
        notify: Whether this revision is to wake somebody; False while the series' refractory time, maintenance or the
            budget of the stream holds that back.
        score: Greatest rarity over threshold in the episode; > 1 is anomalous. 0 where no score applies (gap).
        rarity: Greatest minus log10 of how often so rare a value occurs.
        threshold: In units of rarity.
        reconstruction_error: At the slot of greatest rarity.
        value: The oddest reading: the one with the greatest own error, a number per variable; None for a gap.
        expected: Expected value there, None where there is none.
        lower: Lower bound of what is usual there.
        upper: Upper bound.
        revised: What `value` was before the sender revised it, None where it did not.
        value_at: Slot of that reading, epoch seconds UTC; None for a gap, and where an older version recorded it.
        notified: Whether any revision so far was to wake somebody.
        maintenance: Whether this revision is of a slot in a maintenance window, so that nobody was told.
        withheld: Whether an alarm of it waits, told by no revision so far, because the budget of the stream went to
            worse ones.
        contributions: Slots of the window that contributed most: `{"at": epoch s, "share": 0..1}`, greatest first.
        variables: Of readings with several, those that contributed most there: `{"variable": name, "share": 0..1}`.
        networks: Of an ensemble, what each network added to the error there: `{"network": name, "share": 0..1}`.
        members: For an event of the whole stream: how many series, and the first names.
    """

    id: str
    revision: int
    stream: str
    series: str | None
    state: State
    reasons: tuple[str, ...]
    started_at: int
    ended_at: int
    at: int
    notify: bool
    score: float
    rarity: float
    threshold: float
    reconstruction_error: float
    value: tuple[float, ...] | None
    expected: tuple[float, ...] | None
    lower: tuple[float, ...] | None
    upper: tuple[float, ...] | None
    contributions: tuple[dict[str, Any], ...] = ()
    variables: tuple[dict[str, Any], ...] = ()
    networks: tuple[dict[str, Any], ...] = ()
    members: dict[str, Any] | None = None
    value_at: int | None = None
    revised: tuple[float, ...] | None = None
    notified: bool = False
    maintenance: bool = False
    withheld: bool = False

    @property
    def severity(self) -> Severity:
        """How bad it was at its worst; it never falls.

        `critical`: a hundred times rarer than its threshold asks, out of a physical limit, or many series silent at
        once. `info`: a new regime, which is no fault any more. `warning`: anything else.
        """
        if self.reasons == (Reason.DRIFT.word,):
            return "info"
        far = self.rarity - self.threshold >= CRITICAL
        return "critical" if far or Reason.LIMIT.word in self.reasons or self.members is not None else "warning"

    @property
    def by_rule(self) -> bool:
        """Whether a rule alone found it, so that its score is the fixed one and says nothing."""
        return 0.0 < self.score <= RULE_SCORE

    def to_json(self) -> dict[str, Any]:
        """A JSON object with every attribute under its own name, and `severity`."""
        return asdict(self) | {"severity": self.severity}

    @classmethod
    def from_json(cls, row: dict[str, Any]) -> Event:
        """The event that `to_json` wrote. Raises TypeError when a key is unknown or missing."""
        tuples = ("reasons", "value", "expected", "lower", "upper", "contributions", "variables", "networks", "revised")
        fields: dict[str, Any] = {k: tuple(v) if k in tuples and v is not None else v for k, v in row.items()}
        fields.pop("severity", None)
        fields.setdefault("notified", fields.get("notify"))
        if (members := fields.get("members")) and "labels" in members:  # as earlier versions called them
            fields["members"] = {"count": members["count"], "series": members["labels"]}
        return cls(**fields)


def latest(revisions: Iterable[Event]) -> list[Event]:
    """Each event as it was last, in the order in which they began."""
    return list({event.id: event for event in revisions}.values())


def event_id(stream: str, series: str | None, kind: str, started_at: int) -> str:
    """Deterministic id of an episode: the same episode has the same id in every run."""
    text = "\x1f".join((stream, "" if series is None else "s" + series, kind, str(started_at)))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
