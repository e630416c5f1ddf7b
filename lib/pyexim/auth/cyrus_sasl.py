"""The cyrus_sasl authenticator."""

from __future__ import annotations

from pyexim.auth.base import Authenticator
from pyexim.auth.options import AuthenticatorOptions
from pyexim.config.option import STRING, option, options


@options
class CyrusSaslOptions(AuthenticatorOptions):
    """The options of the chapter."""

    SPEC = "36.1"

    server_hostname: str | None = option(STRING, "$primary_hostname", expanded=True,
        doc="The host name told to the library.")
    server_mech: str | None = option(STRING, None,
        doc="The mechanism, where it is not the public name.")
    server_realm: str | None = option(STRING, None, expanded=True,
        doc="The realm told to the library.")
    server_service: str | None = option(STRING, "smtp",
        doc="The service name told to the library.")


class CyrusSasl(Authenticator):
    """The driver; so far only its options are known."""

    Options = CyrusSaslOptions
