"""What the simulated daemon is configured with, and how a reload changes it."""

from __future__ import annotations

CONFIGURATION = """\
version: 1
state_dir: disk/state
streams:
  files:
    sources: [{{type: file, path: meter.csv}}]
    format: {{series: series}}
    timezone: Europe/Berlin
    clock: event
    <<: STREAM
  net:
    sources: [{{type: unix, path: socket, ack: true, line_timeout: 1d, idle_timeout: 1d}}]
    format: {{columns: [timestamp, series, value], series: series}}
    clock: wall
    future: {future}
    <<: STREAM
events: {{file: {events}, stdout: true}}
history: {{keep: {keep}}}
"""
STREAM = """interval: 30m
    warm_up: 8h
    max_series: 4
    model: {{window: 8, masked: 2, copies: 1, retrain_every: 24, apply_after: 4, keep: 3}}
    alerts: {{false_alarms_per_month: 600, refractory: {refractory}, limits: {{max: {most}}}}}"""
VARIANTS: tuple[dict[str, str], ...] = (
    {},
    {"refractory": "4h", "most": "45"},
    {"keep": "6h"},
    {"refractory": "30m", "future": "9h"},
)
PLAIN = {"refractory": "1h", "most": "70", "events": "disk/out/events.jsonl", "keep": "30d", "future": "8h"}
