"""Sources, formats and sinks: bytes in, bytes out. Knows neither the daemon nor the models."""
