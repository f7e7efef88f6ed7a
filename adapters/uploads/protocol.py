"""What the HTTP server and the inboxes agree on: where bodies are posted, which messages there are, what is wrong."""

from __future__ import annotations

PATHS = {"http": "/api/v1/readings", "prometheus": "/api/v1/write"}
"""Path on the HTTP server, by the type of the source that it leads to."""

V1, V2 = "prometheus.WriteRequest", "io.prometheus.write.v2.Request"
"""The messages of Prometheus' remote write 1.0 and 2.0."""


class RequestError(ValueError):
    """A body that is not what it should be; the message says why."""


class TooLargeError(ValueError):
    """A body that unpacks to more than it may."""
