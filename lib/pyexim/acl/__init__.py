"""Room acl."""
