"""Stands for Home Assistant: what its alarms show, by what lies at the broker."""

import json
import time
from urllib.parse import urlsplit

import paho.mqtt.client as mqtt
from jinja2.sandbox import SandboxedEnvironment

BROKER = urlsplit("mqtt://127.0.0.1:1883")

if __name__ == "__main__":
    kept: dict[str, str] = {}
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
    client.on_message = lambda client, data, message: kept.update({message.topic: message.payload.decode()})
    client.connect(BROKER.hostname or "", BROKER.port or 1883)
    client.subscribe([("homeassistant/binary_sensor/+/config", 1), ("tidegauge/#", 1)])
    client.loop_start()
    time.sleep(1)  # what is retained comes at once
    client.loop_stop()
    for text in [text for topic, text in sorted(kept.items()) if topic.startswith("homeassistant/")]:
        alarm = json.loads(text)
        said = json.loads(kept.get(alarm["state_topic"], '{"state": null}'))
        shown = SandboxedEnvironment().from_string(alarm["value_template"]).render(value_json=said)
        print(f"{alarm['name']}: {shown}")
