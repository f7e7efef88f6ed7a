"""Sinks: where events go besides the store's table."""
