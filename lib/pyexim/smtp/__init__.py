"""Room smtp."""
