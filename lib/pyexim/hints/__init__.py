"""Room hints."""
