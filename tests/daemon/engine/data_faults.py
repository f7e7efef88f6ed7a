"""What readings may look like and what becomes of them: the table behind docs/faults.md, section Data.

`python -m tests.daemon.engine.data_faults` prints the section's table.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

CSV: dict[str, Any] = {"columns": ["timestamp", "series", "value"], "series": "series"}
JSON: dict[str, Any] = {"type": "jsonl", "series": "series"}
VECTOR: dict[str, Any] = {"columns": ["timestamp", "x", "y"], "value": ["x", "y"]}
T = "2024-05-01T10:00:00Z"
NEXT = "2024-05-01T10:30:00Z,a,2"


@dataclass(frozen=True)
class Fault:
    """One row of the table. Without other settings a stream is CSV of 30-minute slots in UTC under `clock: event`.

    Attributes:
        name: What is odd.
        lines: Input.
        rejected: Lines and readings rejected, by reason; all others are accepted.
        after: What that means for the next row, in words.
        following: The next line, which is accepted.
        settings: The stream's settings that differ.
        shown: The input in words, where the lines would not fit a page.
        holds: Values by slot (UTC) that series `a` holds afterwards, `following` included; None: not looked at.
        counts: Other counters of the stream afterwards.
        received_at: Wall clock at receipt, for `clock: wall`.
    """

    name: str
    lines: Sequence[str]
    rejected: Mapping[str, int]
    after: str = "read as usual"
    following: str = NEXT
    settings: Mapping[str, Any] = field(default_factory=dict)
    shown: str = ""
    holds: Mapping[str, float] | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
    received_at: str = "2024-05-01T10:31:00Z"

    @property
    def verdict(self) -> str:
        """What becomes of the lines."""
        bad, again = sum(self.rejected.values()), self.counts.get("repeated", 0)
        if again:
            return f"{len(self.lines) - bad - again:,} accepted, {again:,} repeated, {bad:,} rejected"
        if not bad:
            return "accepted"
        return "rejected" if bad == len(self.lines) else f"{len(self.lines) - bad:,} accepted, {bad:,} rejected"

    def row(self) -> str:
        """The row of the page's table."""
        shown = self.shown or "<br>".join(f"`{_printable(line)}`" for line in self.lines)
        keys = "<br>".join(f"`{key}: {_plain(value)}`" for key, value in self.settings.items())
        reason = ", ".join(f"`{reason}`" for reason in self.rejected)
        return f"| {self.name} | {shown} | {keys} | {self.verdict} | {reason} | {self.after} |"


def _printable(line: str) -> str:
    return line.encode("unicode_escape").decode().replace("|", "\\|")


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_plain(item)}" for key, item in value.items()) + "}"
    return "[" + ", ".join(map(str, value)) + "]" if isinstance(value, list) else str(value)


def _value(text: str) -> list[str]:
    return [f"{T},a,{text}"]


FAULTS: tuple[Fault, ...] = (
    Fault("not a number", _value("abc"), {"bad_value": 1}),
    Fault("NaN", _value("NaN"), {"not_finite": 1}),
    Fault("NaN as a JSON token", ['{"timestamp":"2024-05-01T10:00:00Z","series":"a","value":NaN}'], {"not_finite": 1},
          following='{"timestamp":"2024-05-01T10:30:00Z","series":"a","value":2}', settings={"format": JSON}),
    Fault("infinity", [f"{T},a,inf", f"{T},a,-Infinity"], {"not_finite": 2}),
    Fault("a number beyond float64", _value("1e999"), {"not_finite": 1}),
    Fault("a number beyond 1e30", [f"{T},a,1.1e30", f"{T},a,-1e308"], {"not_finite": 2}),
    Fault("the largest number", _value("-1e30"), {}, holds={"2024-05-01T10:00": -1e30, "2024-05-01T10:30": 2.0}),
    Fault("empty value", _value(""), {"missing_value": 1}),
    Fault("null value", ['{"timestamp":"2024-05-01T10:00:00Z","series":"a","value":null}'], {"missing_value": 1},
          following='{"timestamp":"2024-05-01T10:30:00Z","series":"a","value":2}', settings={"format": JSON}),
    Fault("decimal comma, not configured", _value("3,5"), {"malformed": 1}),
    Fault("decimal comma, quoted, not configured", _value('"3,5"'), {"bad_value": 1}),
    Fault("decimal comma, configured", ["2024-05-01T10:00:00Z;a;3,5"], {},
          following="2024-05-01T10:30:00Z;a;2", settings={"format": CSV | {"delimiter": ";", "decimal": ","}},
          holds={"2024-05-01T10:00": 3.5, "2024-05-01T10:30": 2.0}),
    Fault("exponent", _value("-1.5E+3"), {}, holds={"2024-05-01T10:00": -1500.0, "2024-05-01T10:30": 2.0}),
    Fault("thousands of series", [f"{T},s{n},{n}" for n in range(5000)], {},
          shown="one row each of 5,000 series", following="2024-05-01T10:30:00Z,s4999,1",
          settings={"max_series": 5000}),
    Fault("a series name of 10 kB", [f"{T},{'n' * 10_000},1"], {"bad_series": 1}, shown="a name of 10,000 bytes"),
    Fault("an empty series name", [f"{T},,1"], {"bad_series": 1}),
    Fault("a series name with quotes", [f'{T},"say ""hi"", a",1'], {}),
    Fault("a series name with broken quotes", [f'{T},"a,1'], {"malformed": 1}),
    Fault("a series name with a newline in CSV", [f'{T},"a', 'b",1'], {"malformed": 2},
          after="read as usual: a newline always ends a line"),
    Fault("a series name with a newline in JSON", ['{"timestamp":"2024-05-01T10:00:00Z","series":"a\\nb","value":1}'],
          {"bad_series": 1}, following='{"timestamp":"2024-05-01T10:30:00Z","series":"a","value":2}',
          settings={"format": JSON}),
    Fault("a series name with control bytes", [f"{T},a\x1b[31m,1"], {"bad_series": 1}),
    Fault("a series name with NUL bytes", [f"{T},a\x00b,1"], {"binary": 1}),
    Fault("stamps in seconds", ["1714557600,a,1"], {}, following="1714559400,a,2",
          holds={"2024-05-01T10:00": 1.0, "2024-05-01T10:30": 2.0}),
    Fault("stamps in milliseconds", ["1714557600000,a,1"], {}, following="1714559400000,a,2",
          holds={"2024-05-01T10:00": 1.0, "2024-05-01T10:30": 2.0}),
    Fault("ISO 8601 with a zone", ["2024-05-01T12:00:00+02:00,a,1"], {},
          holds={"2024-05-01T10:00": 1.0, "2024-05-01T10:30": 2.0}),
    Fault("ISO 8601 without a zone", ["2024-05-01 12:00:00,a,1"], {}, after="read in the stream's zone",
          following="2024-05-01 12:30:00,a,2", settings={"timezone": "Europe/Berlin"},
          holds={"2024-05-01T10:00": 1.0, "2024-05-01T10:30": 2.0}),
    Fault("a stamp that is none", ["yesterday,a,1", "2024-13-01T00:00:00Z,a,1", ",a,1", "-5,a,1"], {"bad_time": 4}),
    Fault("a day of 23 hours", ["2024-03-31 01:30:00,a,1"], {}, after="03:00 is the slot after 01:30: no gap",
          following="2024-03-31 03:00:00,a,2", settings={"timezone": "Europe/Berlin"},
          holds={"2024-03-31T00:30": 1.0, "2024-03-31T01:00": 2.0}),
    Fault("a local stamp in the skipped hour", ["2024-03-31 02:30:00,a,1"], {"nonexistent_time": 1},
          following="2024-03-31 03:00:00,a,2", settings={"timezone": "Europe/Berlin"},
          holds={"2024-03-31T01:00": 2.0}),
    Fault("a day of 25 hours, local stamps in the repeated hour",
          ["2024-10-27 02:00:00,a,1", "2024-10-27 02:30:00,a,2", "2024-10-27 02:00:00,a,3", "2024-10-27 02:30:00,a,4"],
          {}, after="both passes have slots of their own; 03:00 follows the second",
          following="2024-10-27 03:00:00,a,5",
          settings={"timezone": "Europe/Berlin"},
          holds={"2024-10-27T00:00": 1.0, "2024-10-27T00:30": 2.0, "2024-10-27T01:00": 3.0, "2024-10-27T01:30": 4.0,
                 "2024-10-27T02:00": 5.0}),
    Fault("a third reading in the repeated hour",
          ["2024-10-27 02:00:00,a,1", "2024-10-27 02:00:00,a,2", "2024-10-27 02:00:00,a,3"], {"revision": 1},
          following="2024-10-27 03:00:00,a,5", settings={"timezone": "Europe/Berlin"}),
    Fault("a leap day", ["2024-02-29T23:30:00Z,a,1"], {}, following="2024-03-01T00:00:00Z,a,2",
          holds={"2024-02-29T23:30": 1.0, "2024-03-01T00:00": 2.0}),
    Fault("a leap day in another year", ["2023-02-29T23:30:00Z,a,1"], {"bad_time": 1},
          following="2023-03-01T00:00:00Z,a,2"),
    Fault("stamps at the interval's end", [f"{T},a,1"], {}, after="counts for the slot that ends there",
          settings={"stamp": "end"}, holds={"2024-05-01T09:30": 1.0, "2024-05-01T10:00": 2.0}),
    Fault("a counter that resets",
          ["2024-05-01T09:00:00Z,a,1000", "2024-05-01T09:30:00Z,a,1030", "2024-05-01T10:00:00Z,a,5",
           "2024-05-01T10:30:00Z,a,9"], {},
          after="the third that stays low shows it, and its increase goes on", following="2024-05-01T11:00:00Z,a,14",
          settings={"kind": "counter"},
          holds={"2024-05-01T09:30": 30.0, "2024-05-01T10:00": math.inf, "2024-05-01T10:30": math.inf,
                 "2024-05-01T11:00": 5.0},
          counts={"counter_resets": 1}),
    Fault("a hundred thousand new series a minute", [f"{T},new-{n},1" for n in range(100_000)],
          {"series_limit": 99_000}, shown="one row each of 100,000 series", after="known series go on",
          following="2024-05-01T10:30:00Z,new-7,1", settings={"max_series": 1000}),
    Fault("duplicated rows", [f"{T},a,1", f"{T},a,1", f"{T},a,5"], {"revision": 1},
          holds={"2024-05-01T10:00": 1.0, "2024-05-01T10:30": 2.0}, counts={"repeated": 1}),
    Fault("a counter that dips and is back",
          ["2024-05-01T09:00:00Z,a,1000", "2024-05-01T09:30:00Z,a,1030", "2024-05-01T10:00:00Z,a,0"], {},
          after="its increase goes on over the dip", following="2024-05-01T10:30:00Z,a,1050",
          settings={"kind": "counter"},
          holds={"2024-05-01T09:30": 30.0, "2024-05-01T10:00": math.inf, "2024-05-01T10:30": 10.0}),
    Fault("stamps a little off the grid", ["2024-05-01T09:59:58.8Z,a,1"], {}, after="each has the nearest slot",
          following="2024-05-01T10:30:01.2Z,a,2", holds={"2024-05-01T10:00": 1.0, "2024-05-01T10:30": 2.0}),
    Fault("several readings in a slot, aggregated", [f"{T},a,1", "2024-05-01T10:10:00Z,a,3"], {},
          after="closes the slot", settings={"aggregate": "mean"}, holds={"2024-05-01T10:00": 2.0}),
    Fault("rows out of order", [f"{T},a,1", "2024-05-01T09:00:00Z,a,4"], {},
          after="read as usual; the late row has filled its slot and is not scored",
          holds={"2024-05-01T09:00": 4.0, "2024-05-01T10:00": 1.0, "2024-05-01T10:30": 2.0}, counts={"late": 1}),
    Fault("a row older than the window", [f"{T},a,1", "2024-04-30T00:00:00Z,a,4"], {"too_old": 1},
          holds={"2024-05-01T10:00": 1.0, "2024-05-01T10:30": 2.0}),
    Fault("one row a year later, by the wall clock", [f"{T},a,1", "2025-05-01T10:00:00Z,a,1"], {"future": 1},
          settings={"clock": "wall"}, holds={"2024-05-01T10:00": 1.0, "2024-05-01T10:30": 2.0}),
    Fault("one row a year later, by the event clock", [f"{T},a,1", "2025-05-01T10:00:00Z,a,1"],
          {"future": 1}, after="read as usual; three in a row of the later year, and the stream goes on there"),
    Fault("the earlier year goes on after that",
          [f"{T},a,1", "2025-05-01T10:00:00Z,a,1", "2024-05-01T10:30:00Z,a,1"], {"future": 1},
          after="read as usual, and by all other series", following="2024-05-01T11:00:00Z,a,2",
          holds={"2024-05-01T10:00": 1.0, "2024-05-01T10:30": 1.0, "2024-05-01T11:00": 2.0}),
    Fault("a first row of the future", ["2099-01-01T00:00:00Z,x,1", f"{T},b,1", f"{T},a,1"], {"future": 2},
          after="read as usual: the stream begins where two rows agree",
          holds={"2024-05-01T10:00": 1.0, "2024-05-01T10:30": 2.0}),
    Fault("rows of the future from one of several series",
          [f"{T},a,1", f"{T},b,1", "2099-01-01T00:00:00Z,b,1", "2099-01-01T00:30:00Z,b,1"], {"future": 2},
          after="read as usual, by the bad sender too", following="2024-05-01T10:30:00Z,b,2"),
    Fault("a vector too short", [f"{T},1"], {"malformed": 1}, following="2024-05-01T10:30:00Z,2,2",
          settings={"format": VECTOR}),
    Fault("a vector too long", [f"{T},1,2,3"], {"malformed": 1}, following="2024-05-01T10:30:00Z,2,2",
          settings={"format": VECTOR}),
    Fault("a vector with an empty variable", [f"{T},1,"], {"missing_value": 1}, following="2024-05-01T10:30:00Z,2,2",
          settings={"format": VECTOR}),
    Fault("a vector without one of its keys", ['{"timestamp":"2024-05-01T10:00:00Z","x":1}'], {"missing_value": 1},
          following='{"timestamp":"2024-05-01T10:30:00Z","x":1,"y":2}',
          settings={"format": {"type": "jsonl", "value": ["x", "y"]}}),
    Fault("a list where a number is declared", ['{"timestamp":"2024-05-01T10:00:00Z","series":"a","value":[1,2]}'],
          {"bad_value": 1}, following='{"timestamp":"2024-05-01T10:30:00Z","series":"a","value":2}',
          settings={"format": JSON}),
)  # fmt: skip

HEAD = "| fault | input | configuration | verdict | reason | the next row |\n|---|---|---|---|---|---|\n"


def table() -> str:
    """The page's table."""
    return HEAD + "\n".join(fault.row() for fault in FAULTS) + "\n"


if __name__ == "__main__":
    print(table(), end="")  # noqa: T201
