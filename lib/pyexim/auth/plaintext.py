"""The plaintext authenticator."""

from __future__ import annotations

from pyexim.auth.base import Authenticator
from pyexim.auth.options import AuthenticatorOptions
from pyexim.config.option import BOOL, STRING, STRING_LIST, option, options


@options
class PlaintextOptions(AuthenticatorOptions):
    """The options of the chapter."""

    SPEC = "34.1"

    client_ignore_invalid_base64: bool = option(BOOL, False,
        doc="Go on after a prompt that is no base64.")
    client_send: str | None = option(STRING, None, expanded=True,
        doc="The strings to send, a list.")
    server_prompts: str | None = option(STRING_LIST, None, expanded=True,
        doc="The prompts to give, a list.")


class Plaintext(Authenticator):
    """The driver; so far only its options are known."""

    Options = PlaintextOptions
