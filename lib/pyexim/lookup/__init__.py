"""Room lookup."""
