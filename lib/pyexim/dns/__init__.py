"""Room dns."""
