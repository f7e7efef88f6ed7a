"""Tells Home Assistant of an alarm for each sensor, by its MQTT discovery; once is enough, the broker keeps it."""

import json
from urllib.parse import urlsplit

from paho.mqtt import publish

BROKER = urlsplit("mqtt://127.0.0.1:1883")
STREAM, SENSORS = "home", ("freezer", "fridge")


def discovery(sensor: str) -> tuple[str, str]:
    """Topic and message of a binary sensor that is on while an episode of the series is open."""
    state = f"tidegauge/{STREAM}/{sensor}"
    message = {
        "name": f"{sensor.capitalize()} alarm",
        "unique_id": f"tidegauge_{STREAM}_{sensor}",
        "state_topic": state,
        "value_template": "{{ 'ON' if value_json.state == 'open' else 'OFF' }}",
        "json_attributes_topic": state,
        "device_class": "problem",
        "device": {"identifiers": [f"tidegauge_{STREAM}"], "name": f"Tidegauge {STREAM}"},
    }
    return f"homeassistant/binary_sensor/tidegauge_{STREAM}_{sensor}/config", json.dumps(message)


if __name__ == "__main__":
    messages = [(topic, text, 1, True) for topic, text in map(discovery, SENSORS)]
    # nothing is odd until Tidegauge says so
    messages += [(f"tidegauge/{STREAM}/{sensor}", '{"state": "closed"}', 1, True) for sensor in SENSORS]
    publish.multiple(messages, hostname=BROKER.hostname, port=BROKER.port)
