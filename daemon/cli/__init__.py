"""The command line. `entry.main` is the console script `tidegauge`, `main` gathers its commands."""
