"""Floor 8: what the daemon is made of: admission, listeners, the pool of children, the queue timer.

``master.py`` above it is the loop that joins them.
"""
