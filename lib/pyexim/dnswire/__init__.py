"""Room dnswire."""
