"""The dovecot authenticator."""

from __future__ import annotations

from pyexim.auth.base import Authenticator
from pyexim.auth.options import AuthenticatorOptions
from pyexim.config.option import STRING, option, options


@options
class DovecotOptions(AuthenticatorOptions):
    """The options of the chapter."""

    SPEC = "37"
    NO_EFFECT = "the driver is not there yet"

    server_socket: str | None = option(STRING, None,
        doc="The socket of Dovecot's authentication service.")


class Dovecot(Authenticator):
    """The driver; so far only its options are known."""

    Options = DovecotOptions
