"""InfluxDB line protocol: what is read, what is refused, and the agreement of fast and slow path."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.base import Readings
from adapters.formats.influx import InfluxFormat
from tests.adapters.formats.parsed_lines import assert_same, chunk_of, line_feeds

STAMP = 1_714_557_600_000


def parse(form: InfluxFormat, *lines: str) -> Readings:
    return form.parse("".join(f"{line}\n" for line in lines).encode(), "stem", None)[0]


@pytest.mark.parametrize("vouch", [True, False])
@pytest.mark.parametrize(
    ("line", "series", "value"),
    [
        ("m value=1.5 1714557600000000000", "m", 1.5),
        ("m value=-2e-3 1714557600000000", "m", -0.002),
        ("m value=7i 1714557600000", "m", 7.0),
        ("m value=7u 1714557600", "m", 7.0),
        ("m,b=2,a=1 value=1 1714557600", "m,a=1,b=2", 1.0),
        ("m,a=1 other=5,value=1,more=2 1714557600", "m,a=1", 1.0),
        ('m,a=1 other="x, y=2 z",value=1 1714557600', "m,a=1", 1.0),
        ('m other="say \\"hi\\" \\\\",value=1 1714557600', "m", 1.0),
        ("my\\ m\\,x,a\\=b=c\\ d value=1 1714557600", "my\\ m\\,x,a\\=b=c\\ d", 1.0),
        ("m up=true,value=1 1714557600", "m", 1.0),
        ("  m   value=1   1714557600  ", "m", 1.0),
        ('m,"q"="v" value=1 1714557600', 'm,"q"="v"', 1.0),
        ("m,tag=ä value=1 1714557600", "m,tag=ä", 1.0),
        ("m value=9223372036854775807i 1714557600", "m", 9223372036854775807.0),
    ],
)
def test_line_is_read(line: str, series: str, value: float, vouch: bool) -> None:
    """Escapes, quotes, every precision of stamps and both kinds of numbers; the series has its tags in order."""
    readings = parse(InfluxFormat(vouch=vouch), line)
    assert readings.rejected() == {}
    assert (readings.series, readings.values.tolist(), readings.at_ms.tolist()) == ([series], [[value]], [STAMP])


@pytest.mark.parametrize("vouch", [True, False])
@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("m", "malformed"),
        ("m ", "malformed"),
        ("m 1714557600", "malformed"),
        (",a=1 value=1 1714557600", "malformed"),
        ("m,a value=1 1714557600", "malformed"),
        ("m,a= value=1 1714557600", "malformed"),
        ("m,=1 value=1 1714557600", "malformed"),
        ("m,a=1,a=2 value=1 1714557600", "malformed"),
        ("m,a=1, value=1 1714557600", "malformed"),
        ("m value 1714557600", "malformed"),
        ("m =1 1714557600", "malformed"),
        ("m value=1, 1714557600", "malformed"),
        ("m value=1=2 1714557600", "malformed"),
        ("m value=1,value=2 1714557600", "malformed"),
        ('m other="open,value=1 1714557600', "malformed"),
        ("m value=1 1714557600 5", "malformed"),
        ("m value=1", "bad_time"),
        ("m value=1 now", "bad_time"),
        ("m value=1 -1714557600", "bad_time"),
        ("m value=1 1714557600.5", "bad_time"),
        ("m value=1 99999999999999999999", "bad_time"),
        ("m other=1 1714557600", "missing_value"),
        ("m value= 1714557600", "missing_value"),
        ('m value="1" 1714557600', "bad_value"),
        ("m value=true 1714557600", "bad_value"),
        ("m value=1.5i 1714557600", "bad_value"),
        ("m value=infi 1714557600", "bad_value"),
        ("m value=-1u 1714557600", "bad_value"),
        ("m value=0x1 1714557600", "bad_value"),
        ("m value=NaN 1714557600", "not_finite"),
        ("m,a=\x07 value=1 1714557600", "bad_series"),
        ("m" * 300 + " value=1 1714557600", "bad_series"),
        ("m\0 value=1 1714557600", "binary"),
    ],
)
def test_line_is_refused(line: str, reason: str, vouch: bool) -> None:
    """A bad line is rejected with its reason and the next one is read."""
    readings = parse(InfluxFormat(vouch=vouch), line, "ok value=1 1714557600")
    assert (readings.rejected(), readings.series) == ({reason: 1}, ["ok"])


@pytest.mark.parametrize("at_s", [631_152_000, 959_817_600, 1_000_000_000, 1_714_557_600, 4_102_444_799])
@pytest.mark.parametrize("digits", [0, 3, 6, 9])
def test_precision_is_read_off_the_stamp(at_s: int, digits: int) -> None:
    """From 1990 to 2100 no unit's numbers are another's, though microseconds before 2001 have a digit less."""
    readings = parse(InfluxFormat(), f"m value=1 {at_s * 10**digits}")
    assert readings.at_ms.tolist() == [at_s * 1000]


def test_comments_blank_lines_and_a_bom_are_no_lines() -> None:
    """They are neither readings nor rejections."""
    readings, header = InfluxFormat().parse(
        b"\xef\xbb\xbf# a comment of five words\r\n\r\n  \n#\nm value=1 1714557600\r\n", "", None
    )
    assert (readings.series, readings.rejected(), header) == (["m"], {}, "")


def test_chosen_tags_make_the_label() -> None:
    """One tag is the series as it is; several are joined, so that different values never give one series."""
    lines = ("cpu,host=a\\ b,cpu=cpu\\,0 value=1 1714557600", "cpu,cpu=x,host=a value=2 1714557600")
    assert parse(InfluxFormat(tags=["host"]), *lines).series == ["a b", "a"]
    assert parse(InfluxFormat(tags=["host", "cpu"]), *lines).series == ["a b,cpu\\,0", "a,x"]
    readings = parse(InfluxFormat(tags=["host", "rack"]), *lines)
    assert readings.rejected() == {"bad_series": 2}, "a tag that is not there is no name"


def test_several_fields_make_a_vector() -> None:
    """Variables come in the order of the settings, wherever the fields are."""
    readings = parse(InfluxFormat(value=["b", "a"]), "m a=1,c=9,b=2i 1714557600", "m b=3 1714557600")
    assert (readings.values.tolist(), readings.rejected()) == ([[2.0, 1.0]], {"missing_value": 1})


TELEGRAF = """\
cpu,cpu=cpu0,host=tyrion usage_guest=0,usage_idle=99.7,usage_system=0.1 1717003220000000000
cpu,cpu=cpu-total,host=tyrion usage_guest=0,usage_idle=98.44289041617198,usage_system=1.1 1717003220000000000
mem,host=tyrion active=9165303808i,available=11104120832i,used_percent=64.33 1717003220000000000
disk,device=nvme0n1p2,fstype=ext4,host=tyrion,mode=rw,path=/ free=16404275200i,used_percent=93.25 1717003220000000000
system,host=tyrion uptime_format="12 days,  3:04" 1717003220000000000
system,host=tyrion load1=0.64,n_cpus=16i,uptime=1047841i 1717003220000000000
weather,location=us-midwest temperature=82 1465839830100400200
weather,location=us-midwest temperature=82,bug_concentration=98 1465839830100400200
weather,location=us\\,midwest temperature=82 1465839830100400200
weather,location=us-midwest temp\\=rature=82 1465839830100400200
weather,location\\ place=us-midwest temperature=82 1465839830100400200
wea\\,ther,location=us-midwest temperature=82 1465839830100400200
wea\\ ther,location=us-midwest temperature=82 1465839830100400200
weather,location=us-midwest temperature="too\\"hot\\"" 1465839830100400200
weather,location=us-midwest temperature_str="too hot/cold" 1465839830100400201
weather,location=us-midwest temperature_str="too hot\\cold" 1465839830100400202
weather temperature=82i 1465839830100400200
weather temperature=82
"""
"""Lines as Telegraf's inputs print them (`telegraf --test`), and the examples of the protocol's reference."""


@pytest.mark.parametrize("vouch", [True, False])
@pytest.mark.parametrize(
    ("value", "series", "values", "rejected"),
    [
        (
            "usage_idle",
            ["cpu,cpu=cpu0,host=tyrion", "cpu,cpu=cpu-total,host=tyrion"],
            [99.7, 98.44289041617198],
            {"missing_value": 15, "bad_time": 1},
        ),
        (
            "used_percent",
            ["mem,host=tyrion", "disk,device=nvme0n1p2,fstype=ext4,host=tyrion,mode=rw,path=/"],
            [64.33, 93.25],
            {"missing_value": 15, "bad_time": 1},
        ),
        (
            "temperature",
            [
                "weather,location=us-midwest",
                "weather,location=us\\,midwest",
                "weather,location\\ place=us-midwest",
                "wea\\,ther,location=us-midwest",
                "wea\\ ther,location=us-midwest",
                "weather",
            ],
            [82.0] * 7,
            {"missing_value": 9, "bad_value": 1, "bad_time": 1},
        ),
        ("temp=rature", ["weather,location=us-midwest"], [82.0], {"missing_value": 16, "bad_time": 1}),
    ],
)
def test_telegrafs_examples(
    value: str, series: list[str], values: list[float], rejected: dict[str, int], vouch: bool
) -> None:
    """Documented examples are read as the documents say; lines without the field asked for are counted."""
    readings = InfluxFormat(value=value, vouch=vouch).parse(TELEGRAF.encode(), "stem", None)[0]
    assert (readings.series, readings.values.ravel().tolist(), readings.rejected()) == (series, values, rejected)
    assert set(readings.at_ms.tolist()) <= {1_717_003_220_000, 1_465_839_830_100}


keys = st.sampled_from(
    ["m", "m,a=1", "m,b=2,a=1", "m,a=", "m,a\\ b=c", "", "#m", ",a=1", "m,a=1,a=1", "ä,a=ü", "m,a=x\\"]
)
values = st.sampled_from(
    ["1", "-2.5e3", "3i", "4u", "", "nan", "true", '"x y"', '"', "1=2", "a\\ b", "5 ", "99999999999i"]
)
names = st.sampled_from(["value", "value", "other", "val\\ ue", "", "v\\=x"])
fields = st.lists(st.builds("{}={}".format, names, values), min_size=1, max_size=3).map(",".join)
stamps = st.sampled_from(
    ["1714557600", "1714557600123456789", "1714557600123", "", "x", "-1", " 5", "99999999999999999999"]
)
rows = st.builds("{} {} {}".format, keys, fields, stamps).map(str.encode)
junk = st.sampled_from(
    [b"", b" ", b"# a b", b"a b", b"\xff v=1 1", b"m value=1 1\r", b"m\t value=1 1", b"m  value=1 1"]
)
FORMATS = {
    "key": lambda vouch: InfluxFormat(vouch=vouch),
    "tags": lambda vouch: InfluxFormat(tags=["a", "b"], vouch=vouch),
    "vector": lambda vouch: InfluxFormat(value=["value", "other"], tags=["a"], vouch=vouch),
}


@pytest.mark.parametrize("name", FORMATS)
@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.one_of(rows, rows, junk, st.binary(max_size=9)), line_feeds)))
def test_fast_path_equals_slow_path(name: str, rows: list[tuple[bytes, bytes]]) -> None:
    """Whatever lines a chunk mixes, both paths give the same readings, reasons and offsets, to the bit."""
    data = chunk_of(rows)
    fast, header_fast = FORMATS[name](True).parse(data, "stem", None)
    slow, header_slow = FORMATS[name](False).parse(data, "stem", None)
    assert header_fast == header_slow
    assert_same(fast, slow)


@given(st.lists(st.one_of(values, st.integers(-(10**19), 10**19).map("{}i".format)), max_size=8))
def test_columns_of_fields_equal_single_ones(texts: list[str]) -> None:
    """A column read at once has the values and reasons of its texts one by one."""
    form = InfluxFormat()
    column, reasons = form.read_column(texts)
    assert list(zip(column.tolist(), reasons.tolist(), strict=True)) == [form.read_field(text) for text in texts]
