"""Exports of readings as utilities and hubs write them, made from the layouts they publish.

Each takes readings of a meter or two, five minutes to an hour apart, and writes a file; what a file should give is
`Export.readings`, by series: epoch seconds as stamped in the file, and value.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np

DAYS = 21
_NEM = timedelta(hours=10)


@dataclass(frozen=True)
class Export:
    """A file and what is in it.

    Attributes:
        path: The file.
        timezone: Zone of its stamps without one.
        interval_s: Between two readings.
        readings: By series, `(epoch seconds, value)` in order of time.
    """

    path: Path
    timezone: str
    interval_s: int
    readings: Mapping[str, list[tuple[int, float]]]


def values(count: int, seed: int, digits: int = 3) -> list[float]:
    """A household's use: a daily shape and noise, above 0."""
    at = np.arange(count)
    shape = 0.4 + 0.3 * np.sin(2 * np.pi * at / 48) + np.random.default_rng(seed).gamma(2.0, 0.1, count)
    return [round(float(x), digits) for x in shape]


def instants(zone: str, start: date, minutes: int, days: int = DAYS) -> list[datetime]:
    """Instants of a local period, a clock change included, each `minutes` after the one before."""
    first = datetime.combine(start, datetime.min.time(), ZoneInfo(zone)).astimezone(UTC)
    end = datetime.combine(start + timedelta(days=days), datetime.min.time(), ZoneInfo(zone)).astimezone(UTC)
    count = (end - first) // timedelta(minutes=minutes)
    return [first + timedelta(minutes=minutes * i) for i in range(count)]


def nem12(folder: Path) -> Export:
    """AEMO's NEM12: two channels, thirty minutes, one day estimated, one of varying quality."""
    path, start = folder / "nem12.csv", date(2024, 3, 1)
    lines, found = ["100,NEM12,202404010000,MDP1,RETAILER1"], {}
    for number, suffix in enumerate(("E1", "B1")):
        lines.append(f"200,6001234567,E1B1,1,{suffix},N1,METSER123,kWh,30,20240601")
        use, readings = values(48 * DAYS, number), []
        for day in range(DAYS):
            own = use[48 * day : 48 * day + 48]
            quality = "E52" if day == 3 else "V" if day == 5 else "A"
            cells = ",".join(f"{value:.3f}" for value in own)
            lines.append(f"300,{start + timedelta(days=day):%Y%m%d},{cells},{quality},,,20240401120000,20240401130000")
            if quality == "V":
                lines += ["400,1,20,A,,", "400,21,48,S14,,"]
            midnight = datetime.combine(start + timedelta(days=day), datetime.min.time(), UTC) - _NEM
            readings += [(int(midnight.timestamp()) + 1800 * i, value) for i, value in enumerate(own)]
        found[f"6001234567/{suffix}"] = readings
    lines += ["500,O,S01009,20240401120000,001123.5", "900"]
    path.write_text("".join(f"{line}\r\n" for line in lines))
    return Export(path, "UTC", 1800, found)


def green_button(folder: Path) -> Export:
    """NAESB's ESPI: an Atom feed, fifteen minutes, a block a day, watt-hours as whole numbers of 10^-3 kWh."""
    path = folder / "green_button.xml"
    at = instants("America/New_York", date(2024, 3, 1), 15)
    use = values(len(at), 3)
    base = "https://utility.example/espi/1_1/resource/RetailCustomer/9/UsagePoint/5446/MeterReading/01"
    kind = "https://utility.example/espi/1_1/resource/ReadingType/07"

    def entry(own: str, up: str, related: list[str], content: str) -> str:
        links = [f'<link rel="self" href="{own}"/>', f'<link rel="up" href="{up}"/>']
        links += [f'<link rel="related" href="{href}"/>' for href in related]
        return f"<entry>{''.join(links)}<title/><content>{content}</content></entry>"

    space = 'xmlns="http://naesb.org/espi"'
    entries = [entry(base, base.rpartition("/")[0], [f"{base}/IntervalBlock", kind], f"<MeterReading {space}/>")]
    for block in range(0, len(at), 96):
        readings = "".join(
            f"<IntervalReading><timePeriod><duration>900</duration><start>{int(t.timestamp())}</start></timePeriod>"
            f"<value>{round(value * 1000)}</value>"
            f"{'<ReadingQuality><quality>8</quality></ReadingQuality>' if block == 96 else ''}</IntervalReading>"
            for t, value in zip(at[block : block + 96], use[block : block + 96], strict=True)
        )
        content = f"<IntervalBlock {space}>{readings}</IntervalBlock>"
        entries.append(entry(f"{base}/IntervalBlock/{block}", f"{base}/IntervalBlock", [], content))
    power = f"<ReadingType {space}><powerOfTenMultiplier>-3</powerOfTenMultiplier><uom>72</uom></ReadingType>"
    entries.append(entry(kind, kind.rpartition("/")[0], [], power))
    feed = f'<?xml version="1.0"?><feed xmlns="http://www.w3.org/2005/Atom">{"".join(entries)}</feed>'
    path.write_text(feed)
    return Export(path, "UTC", 900, {"5446/01": [(int(t.timestamp()), v) for t, v in zip(at, use, strict=True)]})


def enedis(folder: Path) -> Export:
    """Enedis: two lines of metadata, semicolons, a decimal comma, offsets, stamped at the end of the half hour."""
    path, zone = folder / "enedis.csv", ZoneInfo("Europe/Paris")
    at, use = instants("Europe/Paris", date(2024, 3, 20), 30), values(48 * DAYS, 4, 1)
    at = [t + timedelta(minutes=30) for t in at]
    head = "Identifiant PRM;Type de donnees;Date de debut;Date de fin\n0911;Courbe de charge;20/03/2024;10/04/2024\n"
    rows = [(t, v) for t, v in zip(at, use, strict=False)]
    body = "".join(f"{t.astimezone(zone).isoformat()};{str(v).replace('.', ',')}\n" for t, v in rows)
    path.write_text(f"{head}Horodate;Valeur\n{body}", "utf-8-sig")
    return Export(path, "UTC", 1800, {"enedis": [(int(t.timestamp()), v) for t, v in rows]})


def datadis(folder: Path) -> Export:
    """Datadis: day first, hours 01:00 to 24:00 in a column of their own, a decimal comma, a way of measuring."""
    path, zone = folder / "datadis.csv", "Europe/Madrid"
    start, use = date(2024, 5, 1), values(24 * DAYS, 5)
    rows, readings = [], []
    for index, value in enumerate(use):
        day, hour = start + timedelta(days=index // 24), index % 24 + 1
        method = "Estimada" if index % 50 == 7 else "Real"
        rows.append(f"ES0031;{day:%d/%m/%Y};{hour:02}:00;{str(value).replace('.', ',')};{method}\n")
        local = datetime.combine(day, datetime.min.time(), ZoneInfo(zone)) + timedelta(hours=hour)
        readings.append((int(local.timestamp()), value))
    path.write_text("cups;fecha;hora;consumo_kWh;metodoObtencion\n" + "".join(rows))
    return Export(path, zone, 3600, {"ES0031": readings})


def pge(folder: Path) -> Export:
    """PG&E: a preamble, the month first, start and end in columns, a unit column, costs with a dollar sign."""
    path, zone = folder / "pge.csv", "America/Los_Angeles"
    start, use = date(2024, 5, 1), values(96 * DAYS, 6)
    rows, readings = [], []
    for index, value in enumerate(use):
        local = datetime.combine(start, datetime.min.time(), ZoneInfo(zone)) + timedelta(minutes=15 * index)
        end = local + timedelta(minutes=14)
        stamp = f"{local:%m/%d/%Y},{local:%I:%M %p},{end:%I:%M %p}"
        rows.append(f"Electric usage,{stamp},{value},kWh,${value / 3:.2f},\n")
        readings.append((int(local.timestamp()), value))
    head = 'Name,JANE DOE\nAddress,"1 MAIN ST, SOMEWHERE"\nAccount Number,123\nService,Service 1\n\n'
    path.write_text(f"{head}TYPE,DATE,START TIME,END TIME,USAGE,UNITS,COST,NOTES\n{''.join(rows)}")
    return Export(path, zone, 900, {"pge": readings})


def octopus(folder: Path) -> Export:
    """Octopus: quoted, ISO 8601 with offsets, start and end, spaces after the commas of the header."""
    path, zone = folder / "octopus.csv", ZoneInfo("Europe/London")
    at, use = instants("Europe/London", date(2024, 3, 20), 30), values(48 * DAYS, 7)
    rows = list(zip(at, use, strict=False))
    body = "".join(
        f'"{v}","{t.astimezone(zone).isoformat()}","{(t + timedelta(minutes=30)).astimezone(zone).isoformat()}"\n'
        for t, v in rows
    )
    path.write_text(f"Consumption (kwh), Start, End\n{body}")
    return Export(path, "UTC", 1800, {"octopus": [(int(t.timestamp()), v) for t, v in rows]})


def home_assistant(folder: Path) -> Export:
    """Home Assistant's statistics as rows of its database: an epoch with a fraction, mean or sum, an identifier."""
    path = folder / "home_assistant.csv"
    at, readings = instants("UTC", date(2024, 3, 1), 60), {}
    rows = []
    for number, name in enumerate(("sensor.grid_import", "sensor.boiler")):
        use = values(len(at), 8 + number)
        readings[name] = [(int(t.timestamp()), v) for t, v in zip(at, use, strict=True)]
        rows += [(int(t.timestamp()), name, v) for t, v in zip(at, use, strict=True)]
    body = "".join(f"{name},{t}.0,{v},kWh\n" for t, name, v in sorted(rows))
    path.write_text(f"statistic_id,start_ts,state,unit_of_measurement\n{body}")
    return Export(path, "UTC", 3600, readings)


def home_assistant_history(folder: Path) -> Export:
    """Home Assistant's history, with `unavailable` for a sensor that is away."""
    path, at = folder / "history.csv", instants("UTC", date(2024, 3, 1), 5, 10)
    use = values(len(at), 11, 2)
    rows, readings = [], []
    for index, (t, value) in enumerate(zip(at, use, strict=True)):
        away = index % 97 == 5
        rows.append(f"sensor.power,{'unavailable' if away else value},{t.isoformat(timespec='milliseconds')[:-6]}Z\n")
        readings += [] if away else [(int(t.timestamp()), value)]
    path.write_text("entity_id,state,last_changed\n" + "".join(rows))
    return Export(path, "UTC", 300, {"sensor.power": readings})


def elexon(folder: Path) -> Export:
    """Elexon-style: a row a day, settlement periods 1 to 50, 46 in March."""
    path, zone = folder / "elexon.csv", "Europe/London"
    rows, readings = [], []
    for day in (date(2024, 3, 20) + timedelta(days=i) for i in range(DAYS)):
        at = instants(zone, day, 30, 1)
        own = values(len(at), day.toordinal())
        rows.append(f"{day:%d/%m/%Y},{','.join([*map(str, own), *[''] * (50 - len(own))])}\n")
        readings += [(int(t.timestamp()), v) for t, v in zip(at, own, strict=True)]
    path.write_text(f"Settlement Date,{','.join(f'SP{i}' for i in range(1, 51))}\n{''.join(rows)}")
    return Export(path, zone, 1800, {"elexon": readings})


def telegraf(folder: Path) -> Export:
    """Telegraf's own JSON lines, an object for fields and one for tags."""
    path, at = folder / "telegraf.jsonl", instants("UTC", date(2024, 3, 1), 60)
    use = values(len(at), 12)
    rows = [
        {"fields": {"usage_idle": v}, "name": "cpu", "tags": {"host": "a"}, "timestamp": int(t.timestamp())}
        for t, v in zip(at, use, strict=True)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return Export(path, "UTC", 3600, {"a": [(int(t.timestamp()), v) for t, v in zip(at, use, strict=True)]})


EXPORTS: Mapping[str, Callable[[Path], Export]] = {
    each.__name__: each
    for each in (
        *(nem12, green_button, enedis, datadis, pge, octopus, home_assistant, home_assistant_history, elexon, telegraf),
    )
}
