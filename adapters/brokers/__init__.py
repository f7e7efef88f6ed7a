"""Brokers as sources: messages that are kept until they are acknowledged, which is when they are durable.

A new one is a `Subscription`: a thread of its own talks to the broker and takes messages, the pipeline polls them on
another, and acknowledges what it has journaled. A function `made` makes it from an entry of `sources`;
`broker_registry` says which keys it takes, and tests/conformance/test_sources.py holds it to all this.
"""
