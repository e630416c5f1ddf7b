"""The cyrus_sasl authenticator."""

from __future__ import annotations

from pyexim.auth.base import Authenticator
from pyexim.auth.options import AuthenticatorOptions
from pyexim.config.option import STRING, option, options


@options
class CyrusSaslOptions(AuthenticatorOptions):
    """The options of its section."""

    server_hostname: str | None = option(STRING, None, expanded=True)
    server_mech: str | None = option(STRING, None)
    server_realm: str | None = option(STRING, None, expanded=True)
    server_service: str | None = option(STRING, "smtp")


class CyrusSasl(Authenticator):
    """The driver; so far only its options are known."""

    Options = CyrusSaslOptions
