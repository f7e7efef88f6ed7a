"""Two weeks of a pump's pressure: a reading above its limit, and hours in which nothing came."""

import math
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

START = datetime(2026, 3, 2, tzinfo=UTC)

chance = random.Random(7)
lines = ["timestamp,pump,value"]
for hour in range(14 * 24):
    if 250 <= hour < 262:
        continue
    pressure = 50 + 20 * math.sin(hour * math.tau / 24) + chance.gauss(0, 1)
    pressure += 60 if hour == 300 else 0
    lines.append(f"{START + timedelta(hours=hour):%Y-%m-%dT%H:%M:%SZ},pump-1,{pressure:.2f}")
Path("history.csv").write_text("\n".join(lines) + "\n")
