"""Room spool."""
