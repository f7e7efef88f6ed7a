"""Three weeks of nightly files of six meters; one dies, and one burns four times as much on a morning."""

import math
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

METERS, NIGHTS, SLOTS = 6, 21, 48
START = datetime(2026, 3, 2, tzinfo=UTC)

Path("in").mkdir(exist_ok=True)
chance = random.Random(1)
for night in range(NIGHTS):
    lines = ["timestamp,meter,value"]
    for meter in range(METERS):
        if meter == 2 and night >= 17:
            continue  # this one died
        for slot in range(SLOTS):
            use = 0.4 + 0.3 * math.sin((slot - 12 - meter) * math.tau / SLOTS) + chance.gauss(0, 0.02)
            if meter == 4 and night == 18 and 4 <= slot < 14:
                use *= 4
            at = START + timedelta(days=night, minutes=30 * slot)
            lines.append(f"{at:%Y-%m-%dT%H:%M:%SZ},meter-{meter},{use:.3f}")
    part = Path("in", f"{START + timedelta(days=night):%Y-%m-%d}.part")
    part.write_text("\n".join(lines) + "\n")
    part.rename(part.with_suffix(".csv"))  # it appears whole
