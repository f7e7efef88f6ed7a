"""Where bodies are posted."""

from __future__ import annotations

PATHS = {"http": "/api/v1/readings"}
"""Path on the HTTP server, by the type of the source that it leads to."""
