"""Room transports."""
