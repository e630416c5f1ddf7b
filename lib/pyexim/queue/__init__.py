"""Floor 7: the queue as a whole: runs over it, listings of it, and what an administrator does to its messages."""
