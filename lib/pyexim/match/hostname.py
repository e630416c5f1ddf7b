"""The client's host name, for those who need it: looked up once a connection."""

from __future__ import annotations

from pyexim.expand.scope import Scope
from pyexim.model.connection import Connection


def find_name(conn: Connection, scope: Scope) -> None:
    """Look the host's name up if that has not been done; sets the fields of the connection."""
    from pyexim.dns.hosts import look_up_name  # asks the DNS

    look_up_name(conn, scope)
