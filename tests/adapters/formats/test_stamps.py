"""Rules for stamps."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.formats.stamps import OK, REASON, StampReader

BERLIN = StampReader("Europe/Berlin")


def ms(*parts: int) -> int:
    return round(datetime(*parts, tzinfo=UTC).timestamp() * 1000)  # type: ignore[arg-type,misc]


@pytest.mark.parametrize(
    ("text", "at_ms", "fold_s"),
    [
        ("1700000000", 1_700_000_000_000, 0),
        ("1700000000.25", 1_700_000_000_250, 0),
        ("1.7e9", 1_700_000_000_000, 0),
        ("1700000000123", 1_700_000_000_123, 0),
        ("1700000000123456", 1_700_000_000_123, 0),
        ("1700000000123456789", 1_700_000_000_123, 0),
        ("202402291230", ms(2024, 2, 29, 11, 30), 0),
        ("20240229", ms(2024, 2, 28, 23), 0),
        ("20240229123015.5", ms(2024, 2, 29, 11, 30, 15) + 500, 0),
        ("20240229T1230Z", ms(2024, 2, 29, 12, 30), 0),
        ("2024/2/29 1:30", ms(2024, 2, 29, 0, 30), 0),
        ("2024-02-29 1230", ms(2024, 2, 29, 11, 30), 0),
        ("2024-02-29T12:00:00,25", ms(2024, 2, 29, 11) + 250, 0),
        ("2024-02-29T24:00", ms(2024, 2, 29, 23), 0),
        ("2024-02-28 24:00:00.000", ms(2024, 2, 28, 23), 0),
        ("2024-03-30T24:00", ms(2024, 3, 30, 23), 0),
        ("2024-03-31T24:00:00", ms(2024, 3, 31, 22), 0),
        ("2024-10-27 24:00", ms(2024, 10, 27, 23), 0),
        ("2024-02-29 12:00:00+0100", ms(2024, 2, 29, 11), 0),
        ("2024-02-29 12:00:00 UTC", ms(2024, 2, 29, 12), 0),
        ("2024-02-29 12:00 GMT-5", ms(2024, 2, 29, 17), 0),
        ("2024-10-27 02:30 CEST", ms(2024, 10, 27, 0, 30), 0),
        ("2024-10-27 02:30 CET", ms(2024, 10, 27, 1, 30), 0),
        ("2024-02-29 12:00 PST", ms(2024, 2, 29, 20), 0),
        ("2024-07-01 12:00 America/New_York", ms(2024, 7, 1, 16), 0),
        ("2024-02-29T12:00:00+01:00[Europe/Paris]", ms(2024, 2, 29, 11), 0),
        ("\ufeff2024-02-29\u00a012:00\u202f", ms(2024, 2, 29, 11), 0),
        ("2024-02-29T12:00:00Z", ms(2024, 2, 29, 12), 0),
        ("2024-02-29 12:00:00.123456+01:00", ms(2024, 2, 29, 11) + 123, 0),
        ("2024-02-29t12:00-0530", ms(2024, 2, 29, 17, 30), 0),
        ("2024-07-01 12:00:00", ms(2024, 7, 1, 10), 0),
        (" 2024-01-01T12:00\t", ms(2024, 1, 1, 11), 0),
        ("2024-01-01", ms(2023, 12, 31, 23), 0),
        ("2024-10-27T02:30:00", ms(2024, 10, 27, 0, 30), 3600),
        ("2024-10-27T01:59:59", ms(2024, 10, 26, 23, 59, 59), 0),
        ("2024-10-27T03:00:00", ms(2024, 10, 27, 2), 0),
        ("2024-10-27T02:30:00+01:00", ms(2024, 10, 27, 1, 30), 0),
    ],
)
def test_stamp_is_read(text: str, at_ms: int, fold_s: int) -> None:
    """Seconds, milliseconds, ISO 8601 with and without zone; the repeated hour is its first pass, and says so."""
    assert BERLIN.read(text) == (at_ms, fold_s, OK)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "bad_time"),
        ("2023-02-29T00:00:00", "bad_time"),
        ("2024-01-01T24:00:01", "bad_time"),
        ("2024-01-01T24:30", "bad_time"),
        ("2024-01-01T25:00", "bad_time"),
        ("2024-13-01 24:00", "bad_time"),
        ("24:00", "bad_time"),
        ("45292", "bad_time"),
        ("45292.0208333", "bad_time"),
        ("100000000000", "bad_time"),
        ("202413010000", "bad_time"),
        ("1989-12-31T22:59:59Z", "bad_time"),
        ("2100-01-01T00:00:00Z", "bad_time"),
        ("2024-01-01 12:00 XYZT", "bad_time"),
        ("2024-01-01 12:00 Europe/Nowhere", "bad_time"),
        ("01/02/2024 00:30", "bad_time"),
        ("2024-01-01T00:00:00+24:00", "bad_time"),
        ("1969-12-31T23:59:59Z", "bad_time"),
        ("1970-01-01T00:30:00", "bad_time"),
        ("2200-01-01T00:00:00Z", "bad_time"),
        ("-1", "bad_time"),
        ("7258118400", "bad_time"),
        ("7258118400000", "bad_time"),
        ("1_700_000_000", "bad_time"),
        ("١٧٠٠٠٠٠٠٠٠", "bad_time"),
        ("nan", "bad_time"),
        ("9" * 5000, "bad_time"),
        ("2024-W01-1", "bad_time"),
        ("2024-03-31T02:00:00", "nonexistent_time"),
        ("2024-03-31 02:59:59.999", "nonexistent_time"),
    ],
)
def test_stamp_is_refused(text: str, reason: str) -> None:
    """What is no stamp, lies outside 1990 to 2100, or in the hour a DST change skips, has its reason."""
    assert BERLIN.read(text) == (0, 0, REASON[reason])


def test_fold_comes_from_the_zone() -> None:
    """Lord Howe repeats half an hour, so the second pass is 1800 s later, not 3600."""
    assert StampReader("Australia/Lord_Howe").read("2024-04-07T01:45:00")[1:] == (1800, OK)


@pytest.mark.parametrize(
    ("pattern", "text", "at_ms"),
    [
        ("%d/%m/%Y %H:%M", "01/02/2024 24:00", ms(2024, 2, 1, 23)),
        ("%d.%m.%y %H:%M", "31.1.24 7:05", ms(2024, 1, 31, 6, 5)),
        ("%m/%d/%Y %I:%M %p", "2/1/2024 12:30\u202fAM", ms(2024, 1, 31, 23, 30)),
        ("%m/%d/%Y %I:%M%p", "02/01/2024 12:30 p.m.", ms(2024, 2, 1, 11, 30)),
        ("%d-%b-%Y %H:%M:%S.%f", "01-FEB-2024 10:00:00", ms(2024, 2, 1, 9)),
        ("%d %B %Y, %R", "1 September 2024, 10:00", ms(2024, 9, 1, 8)),
        ("%a %b %d %T %Z %Y", "Thu Feb 01 10:00:00 CET 2024", ms(2024, 2, 1, 9)),
        ("%Y%m%d%H", "2024020110", ms(2024, 2, 1, 9)),
        ("%Y-%m-%dT%H:%M:%S%z", "2024-02-01T10:00:00-0500", ms(2024, 2, 1, 15)),
        ("%Y/%j", "2024/60", ms(2024, 2, 28, 23)),
        ("%G-W%V-%u", "2024-W05-4", ms(2024, 1, 31, 23)),
        ("excel", "45323.4166667", ms(2024, 2, 1, 9)),
    ],
)
def test_stamp_of_a_pattern(pattern: str, text: str, at_ms: int) -> None:
    """Day first, a 12-hour clock, names of months, and every other directive; nothing written otherwise."""
    reader = StampReader("Europe/Berlin", pattern)
    assert reader.read(text) == (at_ms, 0, OK)
    assert reader.read("2024-02-30 10:00 x") == (0, 0, REASON["bad_time"])


@given(st.datetimes(datetime(1991, 1, 1), datetime(2068, 12, 31)), st.data())
def test_patterns_read_what_strftime_writes(at: datetime, data: st.DataObject) -> None:
    """What Python writes with a pattern of ours is read as that instant, to the pattern's last part."""
    dates = ["%d/%m/%Y", "%m/%d/%y", "%d-%b-%Y", "%B %d, %Y", "%j %Y", "%G-W%V-%u", "%A %Y-%m-%d", "%U %w %Y", "%F"]
    clocks = ["%H:%M:%S", "%I:%M:%S %p", "%T", "%H%M%S.%f"]
    pattern = f"{data.draw(st.sampled_from(dates))} {data.draw(st.sampled_from(clocks))}"
    wanted = at.replace(microsecond=at.microsecond // 1000 * 1000 if "%f" in pattern else 0, tzinfo=UTC)
    assert StampReader("UTC", pattern).read(at.strftime(pattern)) == (round(wanted.timestamp() * 1000), 0, OK)


@pytest.mark.parametrize("pattern", ["%H:%M", "%d/%m %H:%M", "%Y-%m-%d %I:%M", "%Y-%m-%d %Q", "%Y %Y-%m-%d", "text"])
def test_a_pattern_that_cannot_be(pattern: str) -> None:
    """A pattern without a date, with half a clock, or with what is no directive is refused at once."""
    with pytest.raises(ValueError, match=r"%|twice"):
        StampReader("UTC", pattern)


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "Australia/Lord_Howe", "Africa/Monrovia", "Asia/Kathmandu"])
@settings(max_examples=40, deadline=None)
@given(st.data())
def test_columns_of_stamps_equal_single_ones(zone: str, data: st.DataObject) -> None:
    """A column read at once has the stamps that its texts have one by one, near clock changes and garbage."""
    reader = StampReader(zone)
    day = data.draw(st.dates(datetime(1989, 12, 30).date(), datetime(2100, 1, 3).date()))
    day = data.draw(st.sampled_from([day, datetime(2024, 3, 31).date(), datetime(2024, 10, 27).date()]))
    seconds = data.draw(st.lists(st.integers(-172_800, 172_800), min_size=70, max_size=80))
    start = datetime(day.year, day.month, day.day)
    cells: list[object] = [str(start + timedelta(seconds=s)).replace(" ", "T" if s % 2 else " ") for s in seconds]
    spoil = data.draw(
        st.lists(st.tuples(st.integers(0, 69), st.integers(0, 18), st.sampled_from("0123459 -:/x")), max_size=5)
    )
    for index, at, character in spoil:
        text = str(cells[index])
        cells[index] = text[:at] + character + text[at + 1 :]
    if data.draw(st.booleans()):
        cells += data.draw(
            st.lists(st.sampled_from(["", "1", 5, 2.5, "2024-05-05T00:00:00Z", "ä", "2024-05-05"]), max_size=4)
        )
    assert reader.read_cells(cells).tolist() == [list(reader.read_cell(cell)) for cell in cells]
