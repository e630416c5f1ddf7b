"""Room receive."""
