"""A NEM12 file: a meter with import and export, a day estimated, and half an hour that no fuse would have carried."""

import math
from datetime import date, timedelta
from pathlib import Path

DAYS, START = 14, date(2026, 3, 1)

lines = ["100,NEM12,202604010000,MDP1,RETAILER1"]
for channel, scale in (("E1", 1.0), ("B1", 0.3)):
    lines.append(f"200,6001234567,E1B1,1,{channel},N1,METSER123,kWh,30,20260601")
    for day in range(DAYS):
        use = [scale * (0.5 + 0.4 * math.sin((slot - 14) * math.tau / 48)) for slot in range(48)]
        if channel == "E1" and day == 11:
            use[36] = 25.0
        quality = "E52" if day == 5 else "A"  # estimated readings fill their slots and teach nothing
        cells = ",".join(f"{value:.3f}" for value in use)
        lines.append(f"300,{START + timedelta(days=day):%Y%m%d},{cells},{quality},,,20260401120000,")
lines.append("900")
Path("in").mkdir(exist_ok=True)
part = Path("in", "nem12.part")
part.write_text("".join(f"{line}\r\n" for line in lines))
part.rename(part.with_suffix(".csv"))
