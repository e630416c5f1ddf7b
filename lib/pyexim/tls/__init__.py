"""Room tls."""
