"""Filters: Exim's own language and Sieve, for redirect routers, the system filter and -bf."""
