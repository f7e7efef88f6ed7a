"""Rules for stamps, numbers and series, and the agreement of fast and slow path."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.base import Format, Readings
from adapters.formats.csv import CsvFormat, split_fields
from adapters.formats.jsonl import JsonlFormat
from adapters.formats.number_text import LARGEST, read_number
from adapters.formats.rows import compact
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


@given(st.floats(-LARGEST, LARGEST), st.sampled_from([repr, "{:.17e}".format, "{:+.17g}".format]))
def test_number_equals_float(value: float, write: object) -> None:
    """A number is Python's float of its text, bit for bit."""
    text = write(value)  # type: ignore[operator]
    got, reason = read_number(f" {text} ")
    assert reason == OK
    assert got.hex() == float(text).hex()


@pytest.mark.parametrize(
    ("text", "decimal", "reason"),
    [
        ("", ".", "missing_value"),
        ("  ", ".", "missing_value"),
        ("NaN", ".", "not_finite"),
        ("-inf", ".", "not_finite"),
        ("1e999", ".", "not_finite"),
        ("-1.1e30", ".", "not_finite"),
        ("3,5", ".", "bad_value"),
        ("3.5", ",", "bad_value"),
        ("1_000", ".", "bad_value"),
        ("٣", ".", "bad_value"),
        ("0x10", ".", "bad_value"),
        ("5 kW", ".", "bad_value"),
    ],
)
def test_number_is_refused(text: str, decimal: str, reason: str) -> None:
    """What is no finite number has its reason."""
    assert read_number(text, decimal) == (0.0, REASON[reason])


def parse(form: Format, data: bytes, header: str | None = None) -> Readings:
    return form.parse(data, "stem", header)[0]


def test_csv_reads_header_bom_crlf_and_blank_lines() -> None:
    """A BOM, CRLF, blank lines and a repeated header are neither readings nor rejections; offsets count every byte."""
    data = (
        b"\xef\xbb\xbfseries,timestamp,value\r\n\r\nb,1700000000,1.5\r\na,1700000001,-2e3\r\n"
        b"series,timestamp,value\r\nb,1700000002,3\r\n"
    )
    readings, header = CsvFormat(series="series").parse(data, "stem", None)
    assert header == "series,timestamp,value"
    assert readings.series == ["b", "a"]
    assert readings.codes.tolist() == [0, 1, 0]
    assert readings.at_ms.tolist() == [1_700_000_000_000, 1_700_000_001_000, 1_700_000_002_000]
    assert readings.values.tolist() == [[1.5], [-2000.0], [3.0]]
    assert [data[:end].count(b"\n") for end in readings.ends.tolist()] == [3, 4, 6]
    assert readings.rejected() == {}


@pytest.mark.parametrize("vouch", [True, False])
@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"a,1700000001,2,3", "malformed"),
        (b"a,1", "malformed"),
        (b'a,1700000001,"2', "malformed"),
        (b'"a"b,1,2', "malformed"),
        (b"\xff,1700000001,2", "encoding"),
        (b"a\0,1700000001,2", "binary"),
        (b",1700000001,2", "bad_label"),
        (b"  ,1700000001,2", "bad_label"),
        (b"a\x07,1700000001,2", "bad_label"),
        (b"a\xc2\x85,1700000001,2", "bad_label"),
        (b"x" * 257 + b",1700000001,2", "bad_label"),
        ("ä".encode() * 129 + b",1700000001,2", "bad_label"),
        (b"a,then,2", "bad_time"),
        (b"a,2024-03-31T02:30:00,2", "nonexistent_time"),
        (b"a,1700000001,", "missing_value"),
        (b"a,1700000001,x", "bad_value"),
        (b"a,1700000001,nan", "not_finite"),
        (b",x,", "bad_label"),
        (b"a,x,", "bad_time"),
        (b"a\r,1700000001,2", "bad_label"),
    ],
)
def test_csv_rejects_with_reason(line: bytes, reason: str, vouch: bool) -> None:
    """A bad line is rejected with its reason and the next one is read."""
    form = CsvFormat(series="series", timezone="Europe/Berlin", vouch=vouch)
    readings = parse(form, b"series,timestamp,value\n" + line + b"\nok,1700000001,2\n")
    assert readings.rejected() == {reason: 1}
    assert readings.series == ["ok"]
    assert readings.bad_ends.tolist() == [23 + len(line) + 1]


def test_csv_quotes() -> None:
    """Quoted series may hold delimiters and doubled quotes."""
    readings = parse(CsvFormat(series="series"), b'series,timestamp,value\n"a,""b""",1700000001,"2"\n')
    assert (readings.series, readings.values.tolist()) == (['a,"b"'], [[2.0]])
    assert split_fields('"",x,""', ",") == ["", "x", ""]
    assert split_fields('"a" ,x', ",") is None


def test_csv_decimal_comma() -> None:
    """With a decimal comma 3,5 is a number and 3.500 is not; without one it is the other way round."""
    data = b"timestamp;value\n1700000001;3,5\n1700000002;3.500\n1700000003;4\n"
    german = parse(CsvFormat(delimiter=";", decimal=","), data)
    assert (german.values.ravel().tolist(), german.rejected()) == ([3.5, 4.0], {"bad_value": 1})
    english = parse(CsvFormat(delimiter=";"), data)
    assert (english.values.ravel().tolist(), english.rejected()) == ([3.5, 4.0], {"bad_value": 1})
    assert german.series == ["stem"]


def test_csv_columns_instead_of_header() -> None:
    """With `columns` the first line is a reading, and later chunks of the place keep a BOM as part of the line."""
    form = CsvFormat(series="s", columns=["s", "timestamp", "value"])
    readings, header = form.parse(b"\xef\xbb\xbfa,1700000001,2\n", "stem", None)
    assert (readings.series, header) == (["a"], "")
    assert parse(form, b"\xef\xbb\xbfa,1700000001,2\n", header).rejected() == {"bad_label": 1}


def test_csv_header_without_our_columns() -> None:
    """Where no line has the columns every line is of the preamble, in this chunk and the next."""
    form = CsvFormat()
    readings, header = form.parse(b"when,what\n1,2\n", "stem", None)
    assert readings.rejected() == {"preamble": 2}
    assert header == "when,what"
    assert parse(form, b"when,what\n1,2\n", header).rejected() == {"preamble": 2}


def test_csv_vector_takes_its_columns() -> None:
    """Variables come in the order of `value`, wherever the columns are."""
    readings = parse(CsvFormat(value=["b", "a"]), b"a,timestamp,b\n1,1700000010,2\n3,1700000020,\n")
    assert (readings.values.tolist(), readings.rejected()) == ([[2.0, 1.0]], {"missing_value": 1})


@pytest.mark.parametrize(
    ("delimiter", "columns"), [("\n", None), ("¦", None), (",,", None), (",", ["timestamp"])], ids=repr
)
def test_csv_refuses_impossible_settings(delimiter: str, columns: list[str] | None) -> None:
    """A delimiter that cannot work, or columns without the value, is an error at once."""
    with pytest.raises(ValueError, match=r"delimiter|columns"):
        CsvFormat(delimiter=delimiter, columns=columns)


@pytest.mark.parametrize("vouch", [True, False])
@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"nonsense", "malformed"),
        (b"[1]", "malformed"),
        (b'{"s":"a","timestamp":1700000001,"value":2} x', "malformed"),
        (b'{"s":"a","timestamp":1700000001,"value":2,"value":3}', "malformed"),
        (b'{"s":"a","timestamp":1700000001,"value":2,"val\\u0075e":3}', "malformed"),
        (b"{" * 3000, "malformed"),
        (b'{"s":"a","timestamp":1700000001,"value":NaN}', "not_finite"),
        (b'{"s":"a","timestamp":1700000001,"value":-Infinity}', "not_finite"),
        (b'{"s":"a","timestamp":1700000001,"value":1e999}', "not_finite"),
        (b'{"s":"a","timestamp":1700000001,"value":1e31}', "not_finite"),
        (b'{"s":"a","timestamp":1700000001,"value":2,"other":NaN}', "malformed"),
        (b'{"s":"a","timestamp":1700000001,"value":"two"}', "bad_value"),
        (b'{"s":"a","timestamp":1700000001,"value":true}', "bad_value"),
        (b'{"s":"a","timestamp":1700000001,"value":[1,2]}', "bad_value"),
        (b'{"s":"a","timestamp":1700000001,"value":null}', "missing_value"),
        (b'{"s":"a","timestamp":1700000001}', "missing_value"),
        (b'{"s":"a","timestamp":true,"value":2}', "bad_time"),
        (b'{"s":"a","value":2}', "bad_time"),
        (b'{"s":true,"timestamp":1700000001,"value":2}', "bad_label"),
        (b'{"timestamp":1700000001,"value":2}', "bad_label"),
        (b'{"s":"a\\n","timestamp":1700000001,"value":2}', "bad_label"),
        (b'{"s":"a\xff","timestamp":1700000001,"value":2}', "encoding"),
        (b'{"s":"a\0","timestamp":1700000001,"value":2}', "binary"),
    ],
)
def test_jsonl_rejects_with_reason(line: bytes, reason: str, vouch: bool) -> None:
    """A bad line is rejected with its reason and the next one is read."""
    data = b"\xef\xbb\xbf" + line + b'\r\n\n{"s":7,"timestamp":"2024-01-01T00:00:01Z","value":-0.5e1}\r\n'
    readings, header = JsonlFormat(series="s", vouch=vouch).parse(data, "stem", None)
    assert (readings.rejected(), header) == ({reason: 1}, "")
    assert (readings.series, readings.at_ms.tolist(), readings.values.tolist()) == (["7"], [1704067201000], [[-5.0]])


def test_jsonl_vectors() -> None:
    """A vector is one key with a list of the declared width, or several keys."""
    form = JsonlFormat(value="v", width=2)
    readings = parse(
        form,
        b'{"timestamp":1700000001,"v":[1,2.5]}\n{"timestamp":1700000002,"v":[1]}\n{"timestamp":1700000003,"v":4}\n',
    )
    assert (readings.values.tolist(), readings.rejected()) == ([[1.0, 2.5]], {"width": 2})
    readings = parse(
        JsonlFormat(value=["b", "a"]), b'{"timestamp":1700000001,"a":1,"b":2}\n{"timestamp":1700000001,"a":1}\n'
    )
    assert (readings.values.tolist(), readings.rejected()) == ([[2.0, 1.0]], {"missing_value": 1})
    with pytest.raises(ValueError, match="width"):
        JsonlFormat(value=["a", "b"], width=3)


STAMPS = ["1", "1700000000.5", "1700000000123", "2024-03-31T02:30:00", "2024-10-27 02:30:00", "2024-05-05", "x", ""]
NUMBERS = [
    "1",
    "-2.5e-3",
    "3,5",
    "",
    "nan",
    "1e999",
    "1e30",
    "-1e31",
    "0x1",
    "1_0",
    "-999",
    "n/a",
    " 7 ",
    "٣",
    "12345678901234567890123",
]
LABELS = ["a", "b", " a", "ä", "", "a\x07", "x" * 257, '"q,""q"', '"', "a\x85", "\ufeff", "series"]
JUNK = [
    b"",
    b" ",
    b"\r",
    b"\t",
    b",,",
    b"a,1",
    b"a,1700000001,2,3",
    b"\xff,1700000001,2",
    b"a\0,1700000001,2",
    b"\0\0",
    b"series,timestamp,value",
    b"\xef\xbb\xbfseries,timestamp,value",
    b"a,1700000001,2\r",
    b"a\r,1700000001,2",
    b"{}",
    b"[]",
    b'{"series":"a","timestamp":1700000001,"value":1,"value":2}',
    b'{"series":"a","timestamp":1700000001,"x":"value"}',
    b'{"series":"a","timestamp":1700000001,"value":NaN}',
    b'{"series":"value","timestamp":1700000001.5,"value":1}',
    b'{"series":"\\u0061","timestamp":"1700000002","value":1e5}',
    b'{"series":{"value":1},"timestamp":1700000001}',
]
JSON_CELLS = [
    '"a"',
    '"b"',
    "1700000001",
    "2.5",
    "1e400",
    "null",
    "true",
    '"2024-05-05"',
    '"x"',
    "[1]",
    "[1,2]",
    '" a"',
    "-0.0",
]

csv_rows = st.builds(lambda s, t, v: f"{s},{t},{v}".encode(), *map(st.sampled_from, (LABELS, STAMPS, NUMBERS)))
json_rows = st.builds(
    lambda s, t, v: f'{{"series":{s},"timestamp":{t},"value":{v}}}'.encode(),
    *[st.sampled_from(JSON_CELLS)] * 3,
)
line_feeds = st.sampled_from([b"\n", b"\n", b"\r\n"])


def assert_same(fast: Readings, slow: Readings) -> None:
    assert fast.series == slow.series
    for name in ("codes", "at_ms", "fold_s", "values", "ends", "bad_reasons", "bad_ends"):
        left, right = getattr(fast, name), getattr(slow, name)
        assert left.dtype == right.dtype
        assert left.tobytes() == right.tobytes(), name


def chunk_of(rows: list[tuple[bytes, bytes]]) -> bytes:
    return b"".join(line + feed for line, feed in rows)


FORMATS: dict[str, Callable[[bool], Format]] = {
    "csv": lambda vouch: CsvFormat(series="series", timezone="Europe/Berlin", vouch=vouch),
    "columns": lambda vouch: CsvFormat(columns=["x", "timestamp", "value"], timezone="Europe/Berlin", vouch=vouch),
    "decimal": lambda vouch: CsvFormat(columns=["timestamp", "value"], delimiter="\t", decimal=",", vouch=vouch),
    "space": lambda vouch: CsvFormat(columns=["series", "timestamp", "value"], delimiter=" ", vouch=vouch),
    "jsonl": lambda vouch: JsonlFormat(series="series", timezone="Europe/Berlin", vouch=vouch),
    "list": lambda vouch: JsonlFormat(value="value", width=2, vouch=vouch),
}


@pytest.mark.parametrize("name", FORMATS)
@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(st.one_of(csv_rows, json_rows, st.sampled_from(JUNK), st.binary(max_size=9)), line_feeds)),
    st.sampled_from([None, "series,timestamp,value", "timestamp,value", ""]),
)
def test_fast_path_equals_slow_path(name: str, rows: list[tuple[bytes, bytes]], header: str | None) -> None:
    """Whatever lines a chunk mixes, both paths give the same readings, reasons and offsets, to the bit."""
    data = chunk_of(rows)
    if name in ("decimal", "space"):
        data = data.replace(b",", b"\t" if name == "decimal" else b" ")
    fast, header_fast = FORMATS[name](True).parse(data, "stem", header)
    slow, header_slow = FORMATS[name](False).parse(data, "stem", header)
    assert header_fast == header_slow
    assert_same(fast, slow)


@pytest.mark.parametrize("name", FORMATS)
@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.one_of(csv_rows, json_rows, st.sampled_from(JUNK)), line_feeds), min_size=1),
    st.data(),
)
def test_cuts_do_not_matter(name: str, rows: list[tuple[bytes, bytes]], data: st.DataObject) -> None:
    """A chunk cut in two gives the same rows and rejections, the header carried across the cut."""
    cut = data.draw(st.integers(0, len(rows)))
    form = FORMATS[name](True)
    whole, header = form.parse(chunk_of(rows), "stem", None)
    left, between = form.parse(chunk_of(rows[:cut]), "stem", None)
    right, after = form.parse(chunk_of(rows[cut:]), "stem", between)
    assert after == header
    assert [whole.series[c] for c in whole.codes] == [r.series[c] for r in (left, right) for c in r.codes]
    for part in ("at_ms", "fold_s", "values", "bad_reasons"):
        both = np.concatenate([getattr(left, part), getattr(right, part)])
        assert getattr(whole, part).tobytes() == both.tobytes()


@given(st.lists(st.integers(0, 5), max_size=30))
def test_compact_keeps_the_texts(codes: list[int]) -> None:
    """Unused series go, the rest stand in the order of first use, and every row keeps its text."""
    series = list("abcdef")
    kept, renamed = compact(series, np.array(codes, np.int32))
    assert [kept[c] for c in renamed] == [series[c] for c in codes]
    assert kept == list(dict.fromkeys(series[c] for c in codes))
