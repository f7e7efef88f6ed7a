"""Publishes a day of two sensors, as Zigbee2MQTT has it; in the end somebody leaves the freezer open."""

import json
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from paho.mqtt import publish

BROKER = urlsplit("mqtt://127.0.0.1:1883")

if __name__ == "__main__":
    start = datetime(2026, 3, 2, tzinfo=UTC)
    messages = []
    for number in range(144):
        at = (start + timedelta(minutes=10 * number)).isoformat()
        freezer = -18.5 + number % 5 / 10 if number < 140 else -4.0 + number - 140
        for sensor, temperature in (("freezer", freezer), ("fridge", 4.0 + number % 7 / 10)):
            text = json.dumps({"temperature": round(temperature, 1), "battery": 87, "last_seen": at})
            messages.append((f"zigbee2mqtt/{sensor}", text, 1, False))
    publish.multiple(messages, hostname=BROKER.hostname, port=BROKER.port)
