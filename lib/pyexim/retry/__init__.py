"""Room retry."""
