"""The spa authenticator."""

from __future__ import annotations

from pyexim.auth.base import Authenticator
from pyexim.auth.options import AuthenticatorOptions
from pyexim.config.option import STRING, option, options


@options
class SpaOptions(AuthenticatorOptions):
    """The options of the chapter."""

    SPEC = "40.1"
    NO_EFFECT = "the driver is not there yet"

    client_domain: str | None = option(STRING, None, expanded=True,
        doc="The domain to give.")
    client_password: str | None = option(STRING, None, expanded=True,
        doc="The password.")
    client_username: str | None = option(STRING, None, expanded=True,
        doc="The user name.")
    server_password: str | None = option(STRING, None, expanded=True,
        doc="The password of the user in $auth1.")


class Spa(Authenticator):
    """The driver; so far only its options are known."""

    Options = SpaOptions
    options: SpaOptions

    def check(self) -> None:
        o = self.options
        if (o.client_username is None) is not (o.client_password is None):
            raise self.wrong("one of client_username and client_password cannot be set without the other")
