"""Measuring throughput, detection, budget and lifecycle."""
