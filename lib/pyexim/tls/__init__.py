"""Room tls: encrypted connections, for the server's side and the client's.  Its entrance is ``api``."""
