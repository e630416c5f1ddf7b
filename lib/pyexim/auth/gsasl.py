"""The gsasl authenticator."""

from __future__ import annotations

from pyexim.auth.base import Authenticator
from pyexim.auth.options import AuthenticatorOptions
from pyexim.config.option import BOOL, STRING, option, options


@options
class GsaslOptions(AuthenticatorOptions):
    """The options of its section."""

    client_authz: str | None = option(STRING, None, expanded=True)
    client_channelbinding: bool = option(BOOL, False)
    client_password: str | None = option(STRING, None, expanded=True)
    client_spassword: str | None = option(STRING, None, expanded=True)
    client_username: str | None = option(STRING, None, expanded=True)
    server_channelbinding: bool = option(BOOL, False)
    server_hostname: str | None = option(STRING, None, expanded=True)
    server_key: str | None = option(STRING, None, expanded=True)
    server_mech: str | None = option(STRING, None)
    server_password: str | None = option(STRING, None, expanded=True)
    server_realm: str | None = option(STRING, None, expanded=True)
    server_scram_iter: str | None = option(STRING, "4096", expanded=True)
    server_scram_salt: str | None = option(STRING, None, expanded=True)
    server_service: str | None = option(STRING, "smtp")
    server_skey: str | None = option(STRING, None, expanded=True)


class Gsasl(Authenticator):
    """The driver; so far only its options are known."""

    Options = GsaslOptions
