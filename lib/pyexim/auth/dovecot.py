"""The dovecot authenticator."""

from __future__ import annotations

from pyexim.auth.base import Authenticator
from pyexim.auth.options import AuthenticatorOptions
from pyexim.config.option import STRING, option, options


@options
class DovecotOptions(AuthenticatorOptions):
    """The options of its section."""

    server_socket: str | None = option(STRING, None)


class Dovecot(Authenticator):
    """The driver; so far only its options are known."""

    Options = DovecotOptions
