"""The engine's inputs: everything that can change its state, each journaled before it is applied.

An input is an immutable value with a lossless byte form, so that the journal can repeat it: a JSON header of its small
parts and one blob of its arrays. The blob's layout is in docs/state.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import orjson


@dataclass(frozen=True, slots=True)
class Configured:
    """The effective configuration, at start and at every reload."""

    config: dict[str, Any]
    received_at_ms: int = 0


@dataclass(frozen=True, slots=True)
class Batch:
    """Readings of one stream in order of arrival.

    Attributes:
        stream: Name of the stream.
        received_at_ms: Wall clock at receipt, epoch milliseconds; what `clock: wall` takes for "now".
        series: Distinct series of this batch.
        codes: Index into `series` for each reading, shape (N,), int32.
        at_ms: Event time as stamped, epoch milliseconds, shape (N,), int64.
        fold_s: Seconds to add when the slot is taken (repeated local hour), shape (N,), int32.
        values: Shape (N, F), float64, finite.
        rejected: Lines rejected before they became readings, by reason.
        quality: What the sender says of each value, an index into `adapters.base.QUALITIES`, shape (N,), int8; None
            where all are actual.
        owners: Series -> source that brought it in, of those that were new when they were read and whose source may
            bring in so many only. No reading is judged by it.
    """

    stream: str
    received_at_ms: int
    series: list[str]
    codes: npt.NDArray[np.int32]
    at_ms: npt.NDArray[np.int64]
    fold_s: npt.NDArray[np.int32]
    values: npt.NDArray[np.float64]
    rejected: Mapping[str, int] = field(default_factory=dict)
    quality: npt.NDArray[np.int8] | None = None
    owners: Mapping[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.codes)

    def part(self, start: int, stop: int) -> Batch:
        """Readings `start` to `stop`; the rejected lines go with the first part."""
        cut = slice(start, stop)
        return replace(
            self,
            codes=self.codes[cut],
            at_ms=self.at_ms[cut],
            fold_s=self.fold_s[cut],
            values=self.values[cut],
            rejected=self.rejected if start == 0 else {},
            quality=None if self.quality is None else self.quality[cut],
        )

    def only(self, kept: npt.NDArray[np.bool_]) -> Batch:
        """The readings where `kept`, shape (N,), is True."""
        return replace(
            self,
            codes=self.codes[kept],
            at_ms=self.at_ms[kept],
            fold_s=self.fold_s[kept],
            values=self.values[kept],
            quality=None if self.quality is None else self.quality[kept],
        )


@dataclass(frozen=True, slots=True)
class Tick:
    """The clock as the scheduler saw it: lets `clock: wall` streams notice silence."""

    received_at_ms: int


@dataclass(frozen=True, slots=True)
class Delivered:
    """A delivery to a stream has ended: a file was complete or quiet, an upload was whole.

    Under `arrival: batch` its readings take effect now, in the order of slots, and the watermark moves.
    """

    stream: str
    received_at_ms: int = 0


@dataclass(frozen=True, slots=True)
class Command:
    """An operator's command: `warm_up` ends the warm-up of a stream with what history there is."""

    kind: Literal["warm_up"]
    stream: str
    received_at_ms: int = 0


PromotionReason = Literal["bundle", "promote", "rollback"]


@dataclass(frozen=True, slots=True)
class Promoted:
    """A model from outside (the configured bundle, an operator's choice) takes over a stream at once.

    `content` is the bundle's canonical form, `models.bundle.Bundle.to_bytes`. `reason` tells the record of models what
    to say of the one it replaces; the engine does the same for each.
    """

    stream: str
    content: bytes
    received_at_ms: int = 0
    reason: PromotionReason = "bundle"


LabelKind = Literal["fault", "normal"]


@dataclass(frozen=True, slots=True)
class Labelled:
    """An operator's label: what a series reported in a period was a `fault`, or `normal`; `none` takes one back.

    The last three follow from the recorded events, which the engine does not keep.

    Attributes:
        stream: Name of the stream.
        series: Name of the series.
        kind: What it was.
        since: Start of the first slot meant, epoch seconds.
        until: Start of the last slot meant, epoch seconds.
        note: The operator's words.
        halvings: How often the rate of the series' alarms by rarity is to be halved, below 0 doubled.
        true_alarms: Episodes counted as new ones that were no false alarms; below 0 those that were after all.
    """

    stream: str
    series: str
    kind: LabelKind | Literal["none"]
    since: int
    until: int
    note: str = ""
    halvings: int = 0
    true_alarms: int = 0
    received_at_ms: int = 0


@dataclass(frozen=True, slots=True)
class Excluded:
    """An operator takes a period out of all that was learned, and will be.

    The state after it is the one that there would be had the period been known to be none to learn from, from the very
    beginning. An engine only knows what to do with what comes: `daemon.runtime.past` repeats what came before.

    Attributes:
        stream: Name of the stream.
        series: Pattern with * and ? of the series that are meant.
        since: Start of the first slot meant, epoch seconds.
        until: Start of the last slot meant, epoch seconds.
        note: The operator's words.
    """

    stream: str
    series: str
    since: int
    until: int
    note: str = ""
    received_at_ms: int = 0


@dataclass(frozen=True, slots=True)
class Maintained:
    """An operator adds a maintenance window to a stream, or takes one away, beside those of the configuration.

    Attributes:
        stream: Name of the stream.
        window: What the configuration would say of it (`daemon.config.maintenance_settings`), `start` in any case. One
            of the same series, start and days takes the place: so it is ended.
        note: The operator's words.
        dropped: Whether it is only taken away.
    """

    stream: str
    window: dict[str, Any]
    note: str = ""
    dropped: bool = False
    received_at_ms: int = 0


Input = Configured | Batch | Delivered | Tick | Command | Promoted | Labelled | Excluded | Maintained


def encode(item: Input) -> tuple[str, bytes, bytes]:
    """`(kind, header, blob)` of an input; `decode` is its inverse, bit for bit."""
    match item:
        case Configured():
            return "configured", orjson.dumps({"at": item.received_at_ms, "config": item.config}), b""
        case Tick() | Delivered():
            kind = "tick" if isinstance(item, Tick) else "delivered"
            of = {} if isinstance(item, Tick) else {"stream": item.stream}
            return kind, orjson.dumps({"at": item.received_at_ms} | of), b""
        case Command():
            header = {"at": item.received_at_ms, "kind": item.kind, "stream": item.stream}
            return "command", orjson.dumps(header), b""
        case Promoted():
            header = {"at": item.received_at_ms, "reason": item.reason, "stream": item.stream}
            return "promoted", orjson.dumps(header), item.content
        case Labelled() | Excluded() | Maintained():
            head = asdict(item)
            kind = type(item).__name__.lower()
            return kind, orjson.dumps({"at": head.pop("received_at_ms")} | head), b""
        case Batch():
            folded = bool(item.fold_s.any())
            head = {
                "at": item.received_at_ms,
                "stream": item.stream,
                "rows": len(item),
                "width": item.values.shape[1],
                "folded": folded,
                "rejected": dict(item.rejected),
                "labels": item.series,
            }
            columns: list[npt.NDArray[Any]] = [item.at_ms, item.values, item.codes]
            if folded:
                columns.append(item.fold_s)
            if item.quality is not None and item.quality.any():
                head["qualified"] = True
                columns.append(item.quality)
            if item.owners:
                head["owners"] = dict(item.owners)
            return "batch", orjson.dumps(head), b"".join(np.ascontiguousarray(c).tobytes() for c in columns)


def decode(kind: str, header: bytes, blob: bytes) -> Input:
    """The input that `encode` wrote.

    Raises:
        ValueError: `kind` is unknown, or the blob is not as long as its header says.
    """
    head = orjson.loads(header)
    item: Input
    match kind:
        case "configured":
            item = Configured(head["config"], head["at"])
        case "tick":
            item = Tick(head["at"])
        case "delivered":
            item = Delivered(head["stream"], head["at"])
        case "command":
            item = Command(head["kind"], head["stream"], head["at"])
        case "promoted":
            item = Promoted(head["stream"], blob, head["at"], head.get("reason", "bundle"))
        case "labelled":
            item = Labelled(received_at_ms=head.pop("at"), **head)
        case "excluded":
            item = Excluded(received_at_ms=head.pop("at"), **head)
        case "maintained":
            item = Maintained(received_at_ms=head.pop("at"), **head)
        case "batch":
            item = _decode_batch(head, blob)
        case _:
            raise ValueError(f"journal entry of unknown kind {kind!r}")
    return item


_REASONS_BEFORE = {"bad_label": "bad_series"}
"""Reasons in journals of earlier versions, and what they are called."""


def _decode_batch(head: dict[str, Any], blob: bytes) -> Batch:
    rows, width = head["rows"], head["width"]
    qualified = head.get("qualified", False)
    expected = rows * (8 + 8 * width + 4 + (4 if head["folded"] else 0) + (1 if qualified else 0))
    if len(blob) != expected:
        raise ValueError(f"batch of {rows} rows and width {width} has {len(blob)} bytes, not {expected}")
    at_ms = np.frombuffer(blob, np.int64, rows)
    values = np.frombuffer(blob, np.float64, rows * width, 8 * rows).reshape(rows, width)
    codes_at = 8 * rows * (1 + width)
    codes = np.frombuffer(blob, np.int32, rows, codes_at)
    folds_at = codes_at + 4 * rows
    fold_s = np.frombuffer(blob, np.int32, rows, folds_at) if head["folded"] else np.zeros(rows, np.int32)
    quality_at = folds_at + (4 * rows if head["folded"] else 0)
    quality = np.frombuffer(blob, np.int8, rows, quality_at) if qualified else None
    columns = head["labels"], codes, at_ms, fold_s, values
    rejected = {_REASONS_BEFORE.get(reason, reason): lines for reason, lines in head["rejected"].items()}
    return Batch(head["stream"], head["at"], *columns, rejected, quality, head.get("owners", {}))
