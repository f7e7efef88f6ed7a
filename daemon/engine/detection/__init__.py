"""Is a reading anomalous, and why: rules, decision, hysteresis, thresholds. Learns nothing; knows no network."""
