"""The daemon below HTTP, simulated: see README.md."""
