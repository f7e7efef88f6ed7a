"""Contracts held against every implementation."""
