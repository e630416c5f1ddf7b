"""The tls authenticator."""

from __future__ import annotations

from pyexim.auth.base import Authenticator
from pyexim.auth.options import AuthenticatorOptions
from pyexim.config.option import STRING, option, options


@options
class TlsOptions(AuthenticatorOptions):
    """The options of the chapter."""

    SPEC = "42"
    NO_EFFECT = "the driver is not there yet"

    server_param: str | None = option(STRING, None, expanded=True,
        doc="Another name of server_param1.")
    server_param1: str | None = option(STRING, None, expanded=True,
        doc="A value for $auth1.")
    server_param2: str | None = option(STRING, None, expanded=True,
        doc="A value for $auth2.")
    server_param3: str | None = option(STRING, None, expanded=True,
        doc="A value for $auth3.")


class Tls(Authenticator):
    """The driver; so far only its options are known."""

    Options = TlsOptions
