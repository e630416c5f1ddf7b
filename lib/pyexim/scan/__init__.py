"""Room scan."""
