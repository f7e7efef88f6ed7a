"""Files as the field writes them: preambles, comments, two columns for a stamp, units, flags, keys that lie deeper."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.base import Format, Readings
from adapters.formats.csv import CsvFormat
from adapters.formats.jsonl import JsonlFormat
from adapters.formats.number_text import NumberReader
from adapters.formats.qualities import QualityReader
from adapters.formats.stamps import OK, REASON
from tests.adapters.formats.parsed_lines import assert_same

every_path = pytest.mark.parametrize("vouch", [True, False])


def read(form: Format, text: str, header: str | None = None) -> Readings:
    return form.parse(text.encode(), "stem", header)[0]


def found(readings: Readings) -> list[tuple[int, float]]:
    """Seconds after 2024, and the value."""
    at_s = (readings.at_ms // 1000 - 1_704_067_200).tolist()
    return list(zip(at_s, readings.values[:, 0].tolist(), strict=True))


@every_path
def test_a_preamble_is_passed_over(vouch: bool) -> None:
    """The header is the first line that has the columns; what stands before it is counted as preamble, cut or not."""
    form = CsvFormat(time="Horodate", value="Valeur", delimiter=";", vouch=vouch)
    lines = ["PRM;Type;Pas\n", "0911;Courbe;30\n", "\n", "Horodate;Valeur\n", "2024-01-01T00:30:00Z;3\n"]
    whole = read(form, "".join(lines))
    assert (found(whole), whole.rejected()) == ([(1800, 3.0)], {"preamble": 2})
    header, rejected = None, 0
    for line in lines:
        part, header = form.parse(line.encode(), "stem", header)
        rejected += part.rejected().get("preamble", 0)
    assert (found(part), rejected, header) == ([(1800, 3.0)], 2, "Horodate;Valeur")


def test_the_likeliest_header_is_kept() -> None:
    """Where no line has the columns, the first with the most names travels on, so that columns can be named anew."""
    data = b"Title\nExport of;2024\nwhen;what;more\n2024-01-01;1;x\n2024-01-02;2;\n"
    readings, header = CsvFormat(delimiter=";").parse(data, "stem", None)
    assert (readings.rejected(), header) == ({"preamble": 5}, "when;what;more")
    again = read(CsvFormat(time="when", value="what", delimiter=";"), "2024-01-02;7;\n", header)
    assert found(again) == [(86400, 7.0)]


@every_path
def test_comments_and_headers_that_come_again(vouch: bool) -> None:
    """`#` lines are left out, a header behind one counts, and a later header with other columns is in force."""
    form = CsvFormat(vouch=vouch)
    text = (
        "# made by a logger\n#timestamp,value\n1704067200,1\n  # note\n#timestamp,value\n1704067260,2\n"
        "unit,value,timestamp\nW,3,1704067320\nW,x,1704067320\nvalue,timestamp\n4,1704067380\n"
    )
    readings = read(form, text)
    assert found(readings) == [(0, 1.0), (60, 2.0), (120, 3.0), (180, 4.0)]
    assert readings.rejected() == {"bad_value": 1}
    assert found(read(CsvFormat(comment="", columns=["s", "timestamp", "value"], series="s"), "#1,1704067200,1\n"))


@every_path
def test_a_stamp_in_two_columns(vouch: bool) -> None:
    """Date and time of day are joined, 24:00 included; a pattern reads both."""
    form = CsvFormat(time=["date", "time"], vouch=vouch)
    readings = read(form, "date,time,value\n2024-01-01,00:30,1\n2024-01-01,24:00,2\n2024-01-01,,3\n")
    assert (found(readings), readings.rejected()) == ([(1800, 1.0), (86400, 2.0)], {"bad_time": 1})
    form = CsvFormat(time=["d", "t"], time_format="%d/%m/%Y %I:%M %p", vouch=vouch)
    assert found(read(form, "d,x,t,value\n02/01/2024,,12:30 AM,1\n")) == [(86400 + 1800, 1.0)]
    nested = JsonlFormat(time=["day", "hour"], vouch=vouch)
    assert found(read(nested, '{"day":20240101,"hour":"24:00","value":"1.5"}\n')) == [(86400, 1.5)]


@pytest.mark.parametrize(
    ("reader", "text", "value"),
    [
        (NumberReader(thousands=","), "1,234,567.25", 1234567.25),
        (NumberReader(thousands=","), "12,34,567", 1234567.0),
        (NumberReader(",", thousands="."), "-1.234,5", -1234.5),
        (NumberReader(",", thousands=" "), "1\u202f234,5", 1234.5),
        (NumberReader(thousands="'"), "1\u2019234.5", 1234.5),
        (NumberReader(unit="kWh"), "0.25 kWh", 0.25),
        (NumberReader(unit="%"), "12%", 12.0),
        (NumberReader(",", unit="kWh"), "0,25\u00a0KWH", 0.25),
        (NumberReader(thousands=","), "1,23", "bad_value"),
        (NumberReader(thousands=","), "1234,567", "bad_value"),
        (NumberReader(thousands=","), ",123", "bad_value"),
        (NumberReader(unit="kWh"), "0.25 MWh", "bad_value"),
        (NumberReader(missing=[-999, "n/a", "nan"]), "-999.0", "missing_value"),
        (NumberReader(missing=[-999, "n/a", "nan"]), " n/a ", "missing_value"),
        (NumberReader(missing=[-999, "n/a", "nan"]), "nan", "missing_value"),
        (NumberReader(missing=[-999, "n/a"]), "nan", "not_finite"),
        (NumberReader(missing=["-"], thousands=","), "-", "missing_value"),
    ],
)
def test_numbers_as_people_write_them(reader: NumberReader, text: str, value: float | str) -> None:
    """Whole groups of thousands, a unit, words and numbers for what is missing; alone and in a column."""
    wanted = (0.0, REASON[value]) if isinstance(value, str) else (value, OK)
    assert reader.read(text) == wanted
    values, reasons = reader.read_column([text, "2"])
    assert (values[0], reasons[0]) == wanted


@given(st.lists(st.sampled_from(["1", "-999", "n/a", "", "x", "nan", "1,000", "2 kWh", "1e31"]), max_size=8))
def test_a_column_of_numbers_equals_single_ones(texts: list[str]) -> None:
    """However numbers are written, a column has what its texts have one by one."""
    for reader in (NumberReader(missing=[-999, "n/a"]), NumberReader(thousands=",", unit="kWh"), NumberReader(",")):
        values, reasons = reader.read_column(texts)
        assert list(zip(values.tolist(), reasons.tolist(), strict=True)) == [reader.read(text) for text in texts]


@every_path
def test_qualities(vouch: bool) -> None:
    """Usual words and letters with a method, words of one's own; missing has no reading, an unknown one is refused."""
    form = CsvFormat(quality="q", vouch=vouch)
    text = "".join(f"{1704067200 + i},1,{q}\n" for i, q in enumerate(["A", "", "E52", "estimated", "F14", "N", "?"]))
    readings = read(form, f"timestamp,value,q\n{text}")
    assert readings.quality.tolist() == [0, 0, 1, 1, 2]
    assert readings.rejected() == {"missing_value": 1, "bad_quality": 1}
    own = CsvFormat(quality="q", qualities=QualityReader({"estimated": ["yes"], "actual": ["no"]}), vouch=vouch)
    assert read(own, "timestamp,value,q\n1704067200,1,Yes\n1704067260,1,no\n").quality.tolist() == [1, 0]
    json = JsonlFormat(quality="q", qualities=QualityReader({"estimated": ["true", "2"]}), vouch=vouch)
    lines = [f'{{"timestamp":1704067200,"value":1,"q":{q}}}\n' for q in ("true", "2", '"S"', "null", "[1]")]
    assert read(json, "".join(lines)).quality.tolist() == [1, 1, 2, 0]


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ('{"timestamp":1704067200,"fields":{"idle":1},"tags":{"host":"a"}}', [("a", 0, 1.0)]),
        ('{"timestamp":1704067200,"fields.idle":2,"tags":{"host":"a","idle":9}}', [("a", 0, 2.0)]),
        ('{"timestamp":1704067200,"fields":{"idle":"1.5"},"tags.host":7}', [("7", 0, 1.5)]),
        ('[{"timestamp":1704067200,"fields":{"idle":1},"tags":{"host":"a"}}]', [("a", 0, 1.0)]),
        (
            '{"timestamp":1704067200,"fields":[{"idle":1},{"idle":2}],"tags":{"host":"a"}}',
            [("a", 0, 1.0), ("a", 0, 2.0)],
        ),
        ('{"timestamp":1704067200,"fields":{"idle":1},"tags":null}', "bad_series"),
        ('{"timestamp":1704067200,"fields":[1],"tags":{"host":"a"}}', "missing_value"),
        ('{"timestamp":1704067200,"fields":[{"idle":1}],"tags":[{"host":"a"}]}', "malformed"),
        ('{"timestamp":1704067200,"fields":{"idle":1,"idle":2},"tags":{"host":"a"}}', "malformed"),
        ("[" * 30 + "]" * 30, "malformed"),
        ("[1]", "malformed"),
    ],
)
@every_path
def test_keys_that_lie_deeper(line: str, wanted: Any, vouch: bool) -> None:
    """Dots lead into objects, a key of that very name goes before, and lists of objects are a reading each."""
    form = JsonlFormat(value="fields.idle", series="tags.host", vouch=vouch)
    readings = read(form, line + "\n")
    if isinstance(wanted, str):
        assert readings.rejected() == {wanted: 1}
        return
    names = [readings.series[code] for code in readings.codes]
    assert [(name, *rest) for name, rest in zip(names, found(readings), strict=True)] == wanted
    assert (readings.ends == len(line) + 1).all()


def test_a_line_of_a_hundred_readings() -> None:
    """Readings inside one object carry what stands beside their list, and both paths agree on the lines around it."""
    inner = ",".join(f'{{"t":{1704067200 + 60 * i},"v":{i}}}' for i in range(100))
    text = f'{{"m":"a","r":[]}}\n{{"m":"a","r":[{inner}]}}\n{{"m":"b","r":{{"t":1704067200,"v":7}}}}\n'
    forms = [JsonlFormat(time="r.t", value="r.v", series="m", vouch=vouch) for vouch in (True, False)]
    fast, slow = (read(form, text) for form in forms)
    assert_same(fast, slow)
    assert (len(fast), fast.series, fast.rejected()) == (101, ["a", "b"], {})
    assert np.diff(fast.ends)[:99].tolist() == [0] * 99
