"""What goes into the engine and what comes out: inputs, events, and the port to whoever trains."""
