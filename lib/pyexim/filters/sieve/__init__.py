"""Sieve (RFC 5228) with the extensions that Exim has."""
