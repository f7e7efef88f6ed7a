"""From the configuration to adapters, and from their chunks to the batches that are journaled."""
