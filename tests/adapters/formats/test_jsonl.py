"""Lines of JSON: what each may hold, and the reason of each rejection."""

from __future__ import annotations

import pytest

from adapters.formats.jsonl import JsonlFormat
from tests.adapters.formats.parsed_lines import parse


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
        (b'{"s":true,"timestamp":1700000001,"value":2}', "bad_series"),
        (b'{"timestamp":1700000001,"value":2}', "bad_series"),
        (b'{"s":"a\\n","timestamp":1700000001,"value":2}', "bad_series"),
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
