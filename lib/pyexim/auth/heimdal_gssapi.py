"""The heimdal_gssapi authenticator."""

from __future__ import annotations

from pyexim.auth.base import Authenticator
from pyexim.auth.options import AuthenticatorOptions
from pyexim.config.option import STRING, option, options


@options
class HeimdalGssapiOptions(AuthenticatorOptions):
    """The options of its section."""

    server_hostname: str | None = option(STRING, None, expanded=True)
    server_keytab: str | None = option(STRING, None, expanded=True)
    server_service: str | None = option(STRING, "smtp", expanded=True)


class HeimdalGssapi(Authenticator):
    """The driver; so far only its options are known."""

    Options = HeimdalGssapiOptions
