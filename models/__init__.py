"""Networks, features, bundles, training and evaluation. Knows neither the daemon nor the adapters."""
