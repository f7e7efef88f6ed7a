"""The engine driven from recorded readings, and what is said of such a run."""
