"""The recursions of one series and what they stand on: slots, statistics, tails, calibration, regime (compiled)."""
