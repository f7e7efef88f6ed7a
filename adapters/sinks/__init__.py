"""Sinks: where events go besides the store's table. Each is a module with a class and one line in the registry.

A new sink is given lines of JSON and must hand them on whole and in order, or raise OSError, after which it is given
the same lines again (at least once). Its thread may wait for as long as it likes: it holds up nobody else. It opens in
its constructor what can be refused at once, reopens by itself what goes away, and lets go in `close`. The registry
names its configuration key, how it is made, and its sample; tests/conformance/test_sinks.py holds it to all this.
"""

from __future__ import annotations

from adapters.sinks.contract import Opening, PartlyError, Repeating, Sink
from adapters.sinks.sink_registry import SINKS, SinkKind

__all__ = ["SINKS", "Opening", "PartlyError", "Repeating", "Sink", "SinkKind"]
