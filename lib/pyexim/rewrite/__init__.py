"""Room rewrite."""
