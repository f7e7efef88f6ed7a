"""Peers as sources: TCP, Unix sockets, datagrams.

A new one meets `adapters.base.Live`: what a peer sent cannot be asked for again, so its positions are counts, no peer
waits for another, and it is told what is durable. Everything a peer may do has a limit or a deadline (docs/faults.md).
A function `made` makes it from an entry of `sources`; `socket_registry` says which keys it takes and has its sample;
tests/conformance/test_sources.py holds it to all this.
"""
