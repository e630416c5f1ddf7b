"""The tls authenticator."""

from __future__ import annotations

from pyexim.auth.base import Authenticator
from pyexim.auth.options import AuthenticatorOptions
from pyexim.config.option import STRING, option, options


@options
class TlsOptions(AuthenticatorOptions):
    """The options of its section."""

    server_param1: str | None = option(STRING, None, expanded=True)
    server_param2: str | None = option(STRING, None, expanded=True)
    server_param3: str | None = option(STRING, None, expanded=True)


class Tls(Authenticator):
    """The driver; so far only its options are known."""

    Options = TlsOptions
