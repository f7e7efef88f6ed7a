"""Lines of CSV: headers, quotes, decimal signs, and the reason of each rejection."""

from __future__ import annotations

import pytest

from adapters.formats.csv import CsvFormat, split_fields
from tests.adapters.formats.parsed_lines import parse


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
        (b",1700000001,2", "bad_series"),
        (b"  ,1700000001,2", "bad_series"),
        (b"a\x07,1700000001,2", "bad_series"),
        (b"a\xc2\x85,1700000001,2", "bad_series"),
        (b"x" * 257 + b",1700000001,2", "bad_series"),
        ("ä".encode() * 129 + b",1700000001,2", "bad_series"),
        (b"a,then,2", "bad_time"),
        (b"a,2024-03-31T02:30:00,2", "nonexistent_time"),
        (b"a,1700000001,", "missing_value"),
        (b"a,1700000001,x", "bad_value"),
        (b"a,1700000001,nan", "not_finite"),
        (b",x,", "bad_series"),
        (b"a,x,", "bad_time"),
        (b"a\r,1700000001,2", "bad_series"),
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
    assert parse(form, b"\xef\xbb\xbfa,1700000001,2\n", header).rejected() == {"bad_series": 1}


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
