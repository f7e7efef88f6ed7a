"""Recorded cases: an input, a configuration, a trained bundle, and the events expected of them."""
