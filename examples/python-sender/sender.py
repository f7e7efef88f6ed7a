"""Posts readings to Tidegauge until they are durable; needs nothing but Python."""

import math
import time
import urllib.error
import urllib.request
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

URL = "http://127.0.0.1:9898/api/v1/readings?stream=tide"
PATIENCE_S = 300


def send(readings: Iterable[tuple[datetime, str, float]], url: str = URL) -> None:
    """Returns when the readings are durable, however often they had to be sent: the same bytes count once."""
    lines = ["timestamp,gauge,value", *(f"{at.isoformat()},{gauge},{value}" for at, gauge, value in readings)]
    body, until, pause = "\n".join(lines).encode(), time.monotonic() + PATIENCE_S, 1.0
    while True:
        try:
            with urllib.request.urlopen(urllib.request.Request(url, body, method="POST"), timeout=30) as answer:
                print(answer.read().decode().strip())
                return
        except urllib.error.HTTPError as error:
            if error.code not in (429, 503):  # 4xx: sent as it is it will never do
                raise SystemExit(f"{error.code}: {error.read().decode().strip()}") from None
            pause = float(error.headers.get("Retry-After", pause))
        except OSError as error:  # nobody there, or no answer in time
            print(f"{error}; again in {pause:g} s")
        if time.monotonic() > until:
            raise SystemExit("not durable; keep the readings and send them later")
        time.sleep(pause)


if __name__ == "__main__":
    start = datetime(2026, 3, 2, tzinfo=UTC)
    for day in range(3):
        hours = [day * 24 + hour for hour in range(24)]
        tide = [(start + timedelta(hours=h), "pier", round(3 * math.sin(h * math.tau / 12.42), 3)) for h in hours]
        if day == 2:
            tide[7] = (tide[7][0], "pier", 41.0)  # a stuck float
        send(tide)
