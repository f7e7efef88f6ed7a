"""What drives an engine, live or from a file: adapters, journal and recovery, the trainer."""
