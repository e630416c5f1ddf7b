"""Floor 0: what everything else stands on; imports nothing of the project."""
