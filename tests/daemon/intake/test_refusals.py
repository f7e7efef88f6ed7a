"""What is refused is said: once for each file and reason, with the line, the likely cause and the key that cures it."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from adapters.files.tail import FileTail
from adapters.formats.diagnosis import diagnose, excerpt
from daemon.config.format_settings import FormatSettings
from daemon.config.settings import Limits, RejectsSettings, StreamSettings
from daemon.intake.construction import make_format
from daemon.intake.intake import Intake
from daemon.intake.refusals import Refusal, refused_words, share_refused
from daemon.service.rejects_file import RejectsFile


def intake_of(pattern: Path, **choices: Any) -> Intake:
    """The intake of a stream that tails files of a pattern, open."""
    stream = StreamSettings(format=FormatSettings(**choices))
    made = Intake("a", [FileTail("a/0", pattern, scan_every_s=0)], make_format(stream, Limits()), stream.format)
    made.open({})
    return made


@pytest.mark.parametrize(
    ("line", "reason", "choices", "cause", "key"),
    [
        ("31/01/2024 00:30,1", "bad_time", {}, "the day first", "format.time_format: '%d/%m/%Y %H:%M'"),
        ("01/31/2024 12:30 AM,1", "bad_time", {}, "month first, and a 12-h", "time_format: '%m/%d/%Y %I:%M %p'"),
        ("01.02.24 00:30:00,1", "bad_time", {}, "the day or the month", "'%d.%m.%y %H:%M:%S'"),
        ("45292.5,1", "bad_time", {}, "number of days", "format.time_format: excel"),
        ("00:30,1", "bad_time", {}, "time of day alone", "format.time: [date, time]"),
        ("meter-7,1", "bad_time", {}, "another one", "format.time"),
        ('2024-01-01,"1,5"', "bad_value", {}, "decimal comma", "format.decimal: ','"),
        ('2024-01-01,"1,234.5"', "bad_value", {}, "thousands", "format.thousands: ','"),
        ("2024-01-01;1.234,5", "bad_value", {"delimiter": ";"}, "decimal comma", "format.decimal: ',', thousands: '.'"),
        ("2024-01-01,1.5 kWh", "bad_value", {}, "unit", "format.unit: kWh"),
        ("2024-01-01,broken", "bad_value", {}, "a word", "format.value"),
        ("2024-01-01,1,5", "malformed", {}, "decimal comma", "format.decimal"),
        ("2024-01-01;1", "malformed", {}, "number of columns", ""),
        ('{"timestamp":1}', "malformed", {}, "JSON", "format.type: jsonl"),
        ("\0".join("2024-01-01,1"), "binary", {}, "UTF-16", "format.encoding: utf-16"),
        ("caf\xe9", "encoding", {}, "not UTF-8", "format.encoding: latin-1"),
        ("2024-01-01,nan", "not_finite", {}, "no finite", "format.missing: [nan]"),
    ],
)
def test_the_likely_cause_and_its_cure(line: str, reason: str, choices: dict[str, Any], cause: str, key: str) -> None:
    """A refused line shows what is wrong with how it is read, and the key that cures it."""
    delimiter = choices.get("delimiter", ",")
    found = diagnose(line.encode("latin-1"), reason, FormatSettings(**choices), f"timestamp{delimiter}value")
    assert cause in found.cause
    assert key in found.key


def test_another_delimiter_and_no_header() -> None:
    """Where no line has the columns, the likeliest header shows which character separates them, or is named."""
    choices = FormatSettings()
    assert diagnose(b"timestamp;value", "preamble", choices, "timestamp;value").key == "format.delimiter: ';'"
    assert "'when,what'" in diagnose(b"when,what", "preamble", choices, "when,what").cause


def test_said_once_for_each_file_and_reason(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The log has line number, excerpt, cause and key of the first such line, and how many there were; then silence."""
    one, two = tmp_path / "1.csv", tmp_path / "2.csv"
    one.write_text("Export of 2024\ntimestamp,value\n2024-01-01,1\n31/01/2024,2\n30/01/2024,2\n2024-01-02,x\n")
    two.write_text("timestamp,value\n2024-01-01,1\n31/01/2024,2\n")
    intake = intake_of(tmp_path / "*.csv")
    with caplog.at_level(logging.INFO, logger="daemon.intake.refusals"):
        intake.poll(0)
        with one.open("a") as file:
            file.write("29/01/2024,2\n")
        intake.poll(0)
    said = [(Path(r.file).name, r.line, r.reason, r.lines, r.text) for r in caplog.records]  # type: ignore[attr-defined]
    assert said == [
        ("1.csv", 4, "bad_time", 2, "31/01/2024,2"),
        ("1.csv", 6, "bad_value", 1, "2024-01-02,x"),
        ("2.csv", 3, "bad_time", 1, "31/01/2024,2"),
    ]
    assert caplog.records[0].key == "format.time_format: '%d/%m/%Y'"  # type: ignore[attr-defined]
    assert intake.status()["a/0"]["rejected_lines"] == 6  # the preamble is one
    assert intake.refusals.first["a/0"].file == str(two)
    intake.close()


def test_the_line_number_goes_on_after_a_restart(tmp_path: Path) -> None:
    """The position counts lines, dropped ones too, so that a refused line is found in the file by its number."""
    path = tmp_path / "1.csv"
    path.write_text("timestamp,value\n2024-01-01,1\n")
    intake = intake_of(path)
    taken = intake.poll(0)
    intake.close()
    assert taken is not None
    with path.open("a") as file:
        file.write("2024-01-02,1\nx,1\n")
    again = intake_of(path)
    again.leave(["a/0"])
    again.add(FileTail("a/0", path, scan_every_s=0), taken.positions["a/0"])
    again.poll(0)
    assert again.refusals.first["a/0"].line == 4
    again.close()


def test_series_from_the_path(tmp_path: Path) -> None:
    """Daily files of a meter are one series, named by the path; a path without a name says so."""
    for day in ("2024-01-01", "2024-01-02"):
        folder = tmp_path / "meter-7" / day[:7]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{day}.csv").write_text(f"timestamp,value\n{day},1\n")
    pattern = tmp_path / "*" / "*" / "*.csv"
    intake = intake_of(pattern, series={"path": r"(?P<series>meter-\d+)/"})
    taken = intake.poll(0)
    assert taken is not None
    assert (taken.batch.series, len(taken.batch)) == (["meter-7"], 2)
    intake.close()
    other = intake_of(pattern, series={"path": r"(site-\d+)/"})
    nothing = other.poll(0)
    assert nothing is not None
    assert (len(nothing.batch), nothing.batch.rejected) == (0, {"bad_series": 2})
    assert other.refusals.first["a/0"].key == "format.series"
    other.close()


def test_refused_lines_are_kept_and_rotated(tmp_path: Path) -> None:
    """Each refused line is a JSON object with its file, number and text; the file and its copies are bounded."""
    path = tmp_path / "in.csv"
    path.write_text("timestamp,value\n" + "".join(f"never,{i}\n" for i in range(300)))
    kept = RejectsFile(RejectsSettings(file=tmp_path / "rejects", max_bytes=4096, keep=1))
    intake = intake_of(path)
    intake.refusals.keep = kept.write
    intake.poll(0)
    kept.close()
    intake.close()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.csv", "rejects", "rejects.1"]
    assert all(p.stat().st_size <= 4096 for p in tmp_path.glob("rejects*"))
    last = json.loads((tmp_path / "rejects").read_text().splitlines()[-1])
    assert (last["line"], last["text"], last["reason"], last["source"]) == (301, "never,299", "bad_time", "a/0")


def test_rejects_that_cannot_be_written_do_not_stop_readings(tmp_path: Path) -> None:
    """A file that cannot be opened costs its lines and nothing else."""
    kept = RejectsFile(RejectsSettings(file=tmp_path / "missing" / "rejects"))
    kept.write("a/0", Refusal("f", 1, "bad_time", "x", "", ""))


def test_shares_and_excerpts() -> None:
    """A preamble before readings is no refused line; an excerpt is printable and short."""
    assert share_refused({"preamble": 2, "bad_time": 1, "repeated": 5}, 9) == 0.1
    assert share_refused({"preamble": 2}, 0) == 1.0
    assert refused_words({"preamble": 2}, 3, None) == ""
    assert refused_words({"bad_time": 1}, 3, None) == "25.0 % of the lines were refused: 1 bad_time"
    assert excerpt(b"a\tb\x1b[31m" + b"x" * 200) == "a\\tb\\x1b[31m" + "x" * 72 + "..."
