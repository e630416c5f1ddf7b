"""Room mailauth."""
