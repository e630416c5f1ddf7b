"""Floor 7: one delivery attempt at one message, and the processes that make many of them."""
