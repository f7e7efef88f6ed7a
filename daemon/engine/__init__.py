"""The deterministic state machine: streams, series, slots, episodes; what goes in and what comes out."""
