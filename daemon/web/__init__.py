"""The HTTP server: routes, page, TLS and passwords."""
