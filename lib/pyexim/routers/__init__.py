"""Room routers."""
