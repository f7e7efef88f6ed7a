"""What a file of readings is like."""
