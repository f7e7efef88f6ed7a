"""From a network's errors to a decision: statistics, calibration, rules."""
