"""The external authenticator."""

from __future__ import annotations

from pyexim.auth.base import Authenticator
from pyexim.auth.options import AuthenticatorOptions
from pyexim.config.option import STRING, option, options


@options
class ExternalOptions(AuthenticatorOptions):
    """The options of the chapter."""

    SPEC = "41.1"

    client_send: str | None = option(STRING, None, expanded=True,
        doc="The identity to claim.")
    server_param2: str | None = option(STRING, None, expanded=True,
        doc="A value for $auth2.")
    server_param3: str | None = option(STRING, None, expanded=True,
        doc="A value for $auth3.")


class External(Authenticator):
    """The driver; so far only its options are known."""

    Options = ExternalOptions
