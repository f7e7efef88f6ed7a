"""Tidegauge daemon: configuration, engine, state, service and command line."""
