"""The gsasl authenticator."""

from __future__ import annotations

from pyexim.auth.base import Authenticator
from pyexim.auth.options import AuthenticatorOptions
from pyexim.config.option import BOOL, STRING, option, options


@options
class GsaslOptions(AuthenticatorOptions):
    """The options of the chapter."""

    SPEC = "38"
    NO_EFFECT = "the driver is not there yet"

    client_authz: str | None = option(STRING, None, expanded=True,
        doc="The identity to act as.")
    client_channelbinding: bool = option(BOOL, False,
        doc="Bind the authentication to the TLS channel.")
    client_password: str | None = option(STRING, None, expanded=True,
        doc="The password.")
    client_spassword: str | None = option(STRING, None, expanded=True,
        doc="The salted password of SCRAM.")
    client_username: str | None = option(STRING, None, expanded=True,
        doc="The user name.")
    server_channelbinding: bool = option(BOOL, False,
        doc="Bind the authentication to the TLS channel.")
    server_hostname: str | None = option(STRING, "$primary_hostname", expanded=True,
        doc="The host name told to the library.")
    server_key: str | None = option(STRING, None, expanded=True,
        doc="The server key of SCRAM.")
    server_mech: str | None = option(STRING, None,
        doc="The mechanism, where it is not the public name.")
    server_password: str | None = option(STRING, None, expanded=True,
        doc="The user's password.")
    server_realm: str | None = option(STRING, None, expanded=True,
        doc="The realm told to the library.")
    server_scram_iter: str | None = option(STRING, "4096", expanded=True,
        doc="The number of iterations of SCRAM.")
    server_scram_salt: str | None = option(STRING, None, expanded=True,
        doc="The salt of SCRAM.")
    server_service: str | None = option(STRING, "smtp",
        doc="The service name told to the library.")
    server_skey: str | None = option(STRING, None, expanded=True,
        doc="The stored key of SCRAM.")


class Gsasl(Authenticator):
    """The driver; so far only its options are known."""

    Options = GsaslOptions
