"""The daemon as a service: pipeline, schedule, signals, systemd, reloads."""
