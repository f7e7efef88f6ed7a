"""Training from recorded readings: splits, windows, labelled examples, the fitting itself and its measures."""
