"""The spa authenticator."""

from __future__ import annotations

from pyexim.auth.base import Authenticator
from pyexim.auth.options import AuthenticatorOptions
from pyexim.config.option import STRING, option, options


@options
class SpaOptions(AuthenticatorOptions):
    """The options of its section."""

    client_domain: str | None = option(STRING, None, expanded=True)
    client_password: str | None = option(STRING, None, expanded=True)
    client_username: str | None = option(STRING, None, expanded=True)
    server_password: str | None = option(STRING, None, expanded=True)


class Spa(Authenticator):
    """The driver; so far only its options are known."""

    Options = SpaOptions
