"""The heimdal_gssapi authenticator."""

from __future__ import annotations

from pyexim.auth.base import Authenticator
from pyexim.auth.options import AuthenticatorOptions
from pyexim.config.option import STRING, option, options


@options
class HeimdalGssapiOptions(AuthenticatorOptions):
    """The options of the chapter."""

    SPEC = "39"

    server_hostname: str | None = option(STRING, "$primary_hostname", expanded=True,
        doc="The host name in the principal.")
    server_keytab: str | None = option(STRING, None, expanded=True,
        doc="The key table to use.")
    server_service: str | None = option(STRING, "smtp", expanded=True,
        doc="The service in the principal.")


class HeimdalGssapi(Authenticator):
    """The driver; so far only its options are known."""

    Options = HeimdalGssapiOptions
