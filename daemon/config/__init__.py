"""The configuration: its schema, the file it is read from, its sample and reference."""
