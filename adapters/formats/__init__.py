"""Formats: from a chunk's lines to readings, with a reason for every line that is none."""
