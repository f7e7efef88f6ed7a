"""Whole bodies as sources: what a sender posts to the HTTP server, and may post again.

A new one is an `Inbox`, or has one: the server puts a body into it on its own thread, the pipeline polls it on another,
and whoever waits is told when all of it is durable. The server finds it in `Inboxes` while it is configured. A function
`made` makes it from an entry of `sources`; `upload_registry` says which keys it takes, and
tests/conformance/test_sources.py holds it to all this.
"""
