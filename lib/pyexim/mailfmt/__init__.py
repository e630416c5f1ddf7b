"""Room mailfmt."""
