"""Files as sources: followed while they grow, rotate, are truncated, vanish and come back; and standard input."""
