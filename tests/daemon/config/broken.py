"""Broken configurations, each with the line that says what is wrong, after the file's name."""

from __future__ import annotations

STREAM = """\
version: 1
streams:
  taxi:
    sources:
      - path: taxi.csv
"""

LISTENER = """\
version: 1
streams:
  taxi:
    sources:
      - type: tcp
        listen: "127.0.0.1:9899"
"""

DURATION = "write a number and a unit of s, m, h, d or w, such as 30m or 14d"
KEYS = (
    "version, state_dir, streams, shard, maintenance, limits, history, checkpoint, events, rejects, http, metrics, log"
)

BROKEN: dict[str, tuple[str | bytes, str]] = {
    "empty file": ("", ": there are no keys here; start with version: 1 and streams:"),
    "only comments": ("# nothing\n", ": there are no keys here; start with version: 1 and streams:"),
    "a list": ("- version: 1\n", ":1: there are no keys here; start with version: 1 and streams:"),
    "not YAML": (
        "version: 1\nstreams: [\n",
        ":3: this is not YAML at column 1: expected the node content, but found '<stream end>'; "
        "check indentation, quotes and colons",
    ),
    "a tab": (
        "version: 1\nstreams:\n\ttaxi:\n",
        ":3: this is not YAML at column 1: found character '\\t' that cannot start any token; "
        "check indentation, quotes and colons",
    ),
    "a glob without quotes": (
        STREAM.replace("taxi.csv", "*.csv"),
        ":5: this is not YAML at column 16: expected alphabetic or numeric character, but found '.'; "
        "put a value that starts with * in quotes",
    ),
    "a second document": (
        STREAM + "---\nversion: 1\n",
        ":6: this is not YAML at column 1: but found another document; check indentation, quotes and colons",
    ),
    "a control character": (
        "version: 1\n\a",
        ": this is not YAML: unacceptable character #x0007: special characters are not allowed; remove that character",
    ),
    "Latin-1": (b"version: 1\n# caf\xe9\n", ":2: this line is not UTF-8; save the file as UTF-8"),
    "too large": (b"#" * 1_100_000, ": the file is over 1 MiB; it is not a configuration"),
    "too deep": ("a: " + "[" * 5000, ": the file is nested too deeply; it is not a configuration"),
    "duplicate key": (
        STREAM + "    interval: 30m\n    interval: 1h\n",
        ":7: streams.taxi.interval is set here and in line 6; keep one of the two",
    ),
    "duplicate stream": (
        STREAM + "  taxi:\n",
        ":6: streams.taxi is set here and in line 3; keep one of the two",
    ),
    "a tag": (
        "version: !!python/object/apply:os.system [ls]\n",
        ":1: version has the tag !!python/object/apply:os.system, which is not allowed here; remove the tag",
    ),
    "more values than any configuration has": (
        f"version: 1\nstreams: [{'1,' * 100_001}]\n",
        ":2: the file holds more than 100,000 values; it is not a configuration",
    ),
    "an alias to itself": ("version: &a [*a]\n", ":1: version[0] contains itself; write it out"),
    "a key that is a list": (
        "version: 1\n? [a]\n: 1\n",
        ":2: the file has a key that is no text; write each key as one word",
    ),
    "no version": ("streams: {}\n", ": version is missing; add version: 1"),
    "a later version": (
        "version: 2\nstreams: {}\n",
        ":1: version is 2, but this tidegauge reads version 1; set version: 1 or use its tidegauge",
    ),
    "version as text": (
        "version: '1'\n",
        ':1: version is "1", but this tidegauge reads version 1; set version: 1 or use its tidegauge',
    ),
    "no streams": (
        "version: 1\n",
        ": streams is missing; add streams: with at least one stream's name and keys below it",
    ),
    "empty streams": (
        "version: 1\nstreams:\n",
        ":2: streams is empty, not a section; write its keys below it, indented",
    ),
    "a stream's name": (
        "version: 1\nstreams:\n  a b:\n    sources: [{path: x}]\n",
        ":3: streams.a b is not a stream's name; use up to 64 letters, digits, '_' and '-', not starting with '-'",
    ),
    "a misspelt key": (
        STREAM + "    intervall: 30m\n",
        ":6: streams.taxi.intervall is not a known key; did you mean interval?",
    ),
    "a key in the wrong section": (
        STREAM + "    window: 48\n",
        ":6: streams.taxi.window is not a known key; did you mean streams.taxi.model.window?",
    ),
    "a key from nowhere": (
        STREAM + "colour: blue\n",
        f":6: colour is not a known key; remove it, or use one of {KEYS}",
    ),
    "a bare number for a duration": (
        STREAM + "    interval: 30\n",
        f":6: streams.taxi.interval is 30, a duration without its unit; {DURATION}",
    ),
    "an empty duration": (
        STREAM + "    interval:\n",
        f":6: streams.taxi.interval is empty, a duration without its unit; {DURATION}",
    ),
    "YAML 1.1's base 60": (
        STREAM + "    warm_up: 1:30\n",
        f':6: streams.taxi.warm_up is "1:30", not a duration; {DURATION}',
    ),
    "a duration of centuries": (
        STREAM + "    warm_up: 9999999999w\n",
        ':6: streams.taxi.warm_up is "9999999999w", above the most allowed, 36500d; set 36500d or less',
    ),
    "a size too small": (
        STREAM + "history:\n  max_bytes: 64KiB\n",
        ':7: history.max_bytes is "64KiB", below the least allowed, 1MiB; set 1MiB or more',
    ),
    "a size without a unit": (
        STREAM + "limits:\n  line_bytes: 65536\n",
        ":7: limits.line_bytes is 65536, a size without its unit; "
        "write a number and a unit of B, KiB, MiB or GiB, such as 64KiB",
    ),
    "text for a number": (
        STREAM + "    model:\n      window: large\n",
        ':7: streams.taxi.model.window is "large", not a whole number; write digits without quotes',
    ),
    "a fraction for a whole number": (
        STREAM + "    gap_after: 2.5\n",
        ":6: streams.taxi.gap_after is 2.5, not a whole number; write digits without quotes",
    ),
    "a boolean for a number": (
        STREAM + "    alerts:\n      false_alarms_per_month: true\n",
        ":7: streams.taxi.alerts.false_alarms_per_month is true, not a number; "
        "write digits without quotes, with '.' as decimal separator",
    ),
    "YAML 1.1's booleans": (
        STREAM + "events:\n  stdout: yes\n",
        ':7: events.stdout is "yes", neither true nor false; write one of the two, without quotes',
    ),
    "a number for text": (
        STREAM + "    format:\n      time: 0\n",
        ":7: streams.taxi.format.time is 0, not a column's name, nor two; write a name, or [date, time] where two "
        "columns have it",
    ),
    "a number among value's columns": (
        STREAM + "    format:\n      value: [a, 1]\n",
        ':7: streams.taxi.format.value is ["a",1], not a column\'s name, nor a list of them; '
        "write a name, or [name, name] for a vector",
    ),
    "a section for a list": (
        "version: 1\nstreams:\n  taxi:\n    sources:\n      path: taxi.csv\n",
        ':4: streams.taxi.sources is {"path":"taxi.csv"}, not a list; write one item a line, each after \'- \'',
    ),
    "a value for a section": (
        STREAM + "    model: masked-autoencoder\n",
        ':6: streams.taxi.model is "masked-autoencoder", not a section; write its keys below it, indented',
    ),
    "out of range": (
        STREAM + "    model:\n      window: 4\n",
        ":7: streams.taxi.model.window is 4, below the least allowed, 8; set 8 or more",
    ),
    "not a choice": (
        STREAM + "    stamp: middle\n",
        ':6: streams.taxi.stamp is "middle", not one of the choices; set start or end',
    ),
    "an unknown time zone": (
        STREAM + "    timezone: Europe/Bonn\n",
        ':6: streams.taxi.timezone is "Europe/Bonn", not a known time zone; use an IANA name such as Europe/Berlin',
    ),
    "an unknown country": (
        STREAM + "    holidays: [US, XX]\n",
        ':6: streams.taxi.holidays[1] is "XX", not a country or a date; '
        "write an ISO code such as DE or DE-BY, or a day such as 2026-12-24",
    ),
    "a name that is no country's": (
        STREAM + "    holidays: [HolidayBase]\n",
        ':6: streams.taxi.holidays[0] is "HolidayBase", not a country or a date; '
        "write an ISO code such as DE or DE-BY, or a day such as 2026-12-24",
    ),
    "an unknown part of a country": (
        STREAM + "    holidays: [DE-]\n",
        ':6: streams.taxi.holidays[0] is "DE-", not a country or a date; '
        "write an ISO code such as DE or DE-BY, or a day such as 2026-12-24",
    ),
    "a day that is none": (
        STREAM + "    holidays: [2026-02-30]\n",
        ':6: streams.taxi.holidays[0] is "2026-02-30", not a country or a date; '
        "write an ISO code such as DE or DE-BY, or a day such as 2026-12-24",
    ),
    "holidays without a time of week": (
        STREAM + "    holidays: [US]\n    warm_up: 7d\n",
        ":6: streams.taxi.holidays is set, but the model sees the time of week only with model.calendar: true and a "
        "warm_up of 14d or more; set them, or remove the key",
    ),
    "a port alone": (
        STREAM + 'http:\n  listen: ":9898"\n',
        ':7: http.listen is ":9898", not an address and a port; write 127.0.0.1:9898, 0.0.0.0:9898 or [::1]:9898',
    ),
    "a port that cannot be": (
        STREAM + "http:\n  listen: localhost:98980\n",
        ':7: http.listen is "localhost:98980", not an address and a port; '
        "write 127.0.0.1:9898, 0.0.0.0:9898 or [::1]:9898",
    ),
    "a warm-up too short for the window": (
        STREAM + "    warm_up: 1d\n",
        ":6: streams.taxi.warm_up is 1d, 48 slots of 30m, but a window of 32 slots needs at least 64; "
        "set warm_up: 32h or more, or a smaller model.window",
    ),
    "all of the window masked": (
        STREAM + "    model:\n      window: 8\n      masked: 8\n",
        ":8: streams.taxi.model.masked is 8, but window is only 8; set masked below window",
    ),
    "a window that a transformer cannot serve": (
        STREAM + "    model:\n      architecture: transformer\n      window: 9\n",
        ":8: streams.taxi.model.window is 9, but a transformer's scores would then depend on the batch; set window: 10",
    ),
    "a window too long for attention": (
        STREAM + "    warm_up: 30d\n    model:\n      architecture: transformer\n      window: 513\n",
        ":9: streams.taxi.model.window is 513, but a transformer's attention grows by the square of it; "
        "set window: 512 or less",
    ),
    "a training due before the last took effect": (
        STREAM + "    model:\n      retrain_every: 4\n",
        ":6: streams.taxi.model.apply_after is 8, but the next training starts after retrain_every: 4 slots; "
        "set apply_after: 4 or less",
    ),
    "lateness beyond the window": (
        STREAM + "    lateness: 32\n",
        ":6: streams.taxi.lateness is 32 slots, but the window has 32; set lateness below window",
    ),
    "days and times that are none": (
        STREAM + "    due: [Mon-Fri 8-18]\n",
        ':6: streams.taxi.due is ["Mon-Fri 8-18"], not learned, always, or days and times in quarters; write '
        "[Mon-Fri 08:00-18:00, 'Sat,Sun 22:00-06:00']",
    ),
    "limits the wrong way round": (
        STREAM + "    alerts:\n      limits:\n        max: 0\n        min: 10\n",
        ":9: streams.taxi.alerts.limits.min is 10.0, but max is 0.0; set min below max",
    ),
    "comma twice": (
        STREAM + '    format:\n      decimal: ","\n',
        ":7: streams.taxi.format.decimal and delimiter are both ','; set delimiter: ';' or decimal: '.'",
    ),
    "a column used twice": (
        STREAM + "    format:\n      series: value\n",
        ":6: streams.taxi.format uses column 'value' twice; give time, series and each value a column of its own",
    ),
    "columns that lack the value": (
        STREAM + "    format:\n      columns: [timestamp, consumption]\n",
        ":7: streams.taxi.format.columns has 'value' 0 times; list each column once, in order",
    ),
    "columns of JSON lines": (
        STREAM + "    format:\n      type: jsonl\n      columns: [timestamp, value]\n",
        ":8: streams.taxi.format.columns is set, but lines of jsonl carry their own names; "
        "remove columns or set type: csv",
    ),
    "a name of several columns": (
        STREAM + "    format:\n      series: [site, meter]\n",
        ":7: streams.taxi.format.series is a list, but only influx joins tags; name one column or key",
    ),
    "a field used twice": (
        STREAM + "    format: {type: influx, value: [used, used]}\n",
        ":6: streams.taxi.format uses column 'used' twice; give time, series and each value a column of its own",
    ),
    "a file without a path": (
        "version: 1\nstreams:\n  taxi:\n    sources:\n      - type: file\n",
        ":5: streams.taxi.sources[0].path is missing, but a source of type file needs one; "
        "add path: /where/readings/are.csv",
    ),
    "standard input with a path": (
        "version: 1\nstreams:\n  taxi:\n    sources:\n      - type: stdin\n        path: x\n",
        ":6: streams.taxi.sources[0].path is x, but a source of type stdin takes none; "
        "remove it or set type: file or unix",
    ),
    "a listener without an address": (
        "version: 1\nstreams:\n  taxi:\n    sources:\n      - type: tcp\n",
        ":5: streams.taxi.sources[0].listen is missing, but a source of type tcp needs one; add listen: 127.0.0.1:9899",
    ),
    "an address that is none": (
        LISTENER.replace("127.0.0.1:9899", "9899"),
        ':6: streams.taxi.sources[0].listen is "9899", not an address and a port; '
        "write 127.0.0.1:9899, 0.0.0.0:9899 or [::1]:9899",
    ),
    "a network that is none": (
        LISTENER + "        allow: [10.0.0.1/8]\n",
        ":7: streams.taxi.sources[0].allow is [\"10.0.0.1/8\"], not a list of networks: '10.0.0.1/8' is none; "
        "write 192.0.2.0/24, 192.0.2.7 or 2001:db8::/32",
    ),
    "a mode that is none": (
        "version: 1\nstreams:\n  taxi:\n    sources:\n      - {type: unix, path: x, mode: rw-}\n",
        ':5: streams.taxi.sources[0].mode is "rw-", not three octal digits; write 0660 in quotes',
    ),
    "limits of connections for a file": (
        STREAM + "        max_connections: 8\n",
        ":6: streams.taxi.sources[0].max_connections is set, but a source of type file takes none; "
        "remove it or set type: tcp or unix",
    ),
    "client certificates without TLS": (
        LISTENER + "        tls:\n          client_ca: ca.pem\n",
        ":8: streams.taxi.sources[0].tls.client_ca is set, but certificate is not, so there would be no TLS; "
        "add certificate or remove it",
    ),
    "two listeners on one address": (
        "version: 1\nstreams:\n  a:\n    sources: [&a {type: tcp, listen: 'localhost:1'}, *a]\n",
        ":4: streams.a.sources[1].listen is localhost:1, but streams.a.sources[0] listens there already; "
        "keep one of the two",
    ),
    "a header line in datagrams": (
        LISTENER.replace("tcp", "udp"),
        ":3: streams.taxi.format.columns is missing, but a datagram has no header line; list the columns, in order",
    ),
    "standard input twice": (
        "version: 1\nstreams:\n  a:\n    sources: [{type: stdin}]\n  b:\n    sources: [{type: stdin}]\n",
        ":6: streams.b.sources[0] is standard input, but streams.a.sources[0] reads it already; keep one of the two",
    ),
    "authorities for a broker without TLS": (
        "version: 1\nstreams:\n  a:\n    sources:\n      - {type: mqtt, url: 'mqtt://b', client: c, topics: [t],\n"
        "         ca: x}\n",
        ":6: streams.a.sources[0].ca is set, but url is mqtt://b, so there is no TLS; write a scheme that has it, or "
        "remove it",
    ),
    "a certificate for a broker without TLS": (
        "version: 1\nstreams:\n  a:\n    sources:\n      - type: nats\n        url: nats://b\n        consumer: c\n"
        "        subject: s\n        tls: {certificate: x}\n",
        ":9: streams.a.sources[0].tls is set, but url is nats://b, so there is no TLS; write a scheme that has it, or "
        "remove it",
    ),
    "authorities of clients for a broker": (
        "version: 1\nstreams:\n  a:\n    sources:\n      - type: mqtt\n        url: mqtts://b\n        client: c\n"
        "        topics: [t]\n        tls: {certificate: x, client_ca: y}\n",
        ":9: streams.a.sources[0].tls has client_ca, which is for those who connect here; write ca beside url",
    ),
    "a certificate for a sink without TLS": (
        STREAM + "events:\n  mqtt: [{url: 'mqtt://b', certificate: x}]\n",
        ":7: events.mqtt[0].certificate is set, but url is mqtt://b, so there is no TLS; write a scheme that has it, "
        "or remove it",
    ),
    "authorities for a webhook without TLS": (
        STREAM + "events:\n  webhook: [{url: 'http://b', ca: x}]\n",
        ":7: events.webhook[0].ca is set, but url is http://b, so there is no TLS; write a scheme that has it, or "
        "remove it",
    ),
    "a store that is written to twice": (
        STREAM + "metrics:\n  remote_write: [{url: 'http://b/w'}, {url: 'http://b/w'}]\n",
        ":7: metrics.remote_write[1].url is that of metrics.remote_write[0] already; keep one of the two",
    ),
    "a label of a store that is none": (
        STREAM + "metrics:\n  remote_write: [{url: 'http://b', labels: [__name__=x]}]\n",
        ":7: metrics.remote_write[0].labels is [\"__name__=x\"], not a list of labels: '__name__=x' is none; write "
        "name=value",
    ),
    "a password for a sink without a user": (
        STREAM + "events:\n  mqtt: [{url: 'mqtts://b', password: x}]\n",
        ":7: events.mqtt[0].password is set, but user is not; add user or remove it",
    ),
}
