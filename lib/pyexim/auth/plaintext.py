"""The plaintext authenticator."""

from __future__ import annotations

from pyexim.auth.base import Authenticator
from pyexim.auth.options import AuthenticatorOptions
from pyexim.config.option import BOOL, STRING, STRING_LIST, option, options


@options
class PlaintextOptions(AuthenticatorOptions):
    """The options of its section."""

    client_ignore_invalid_base64: bool = option(BOOL, False)
    client_send: str | None = option(STRING, None, expanded=True)
    server_prompts: str | None = option(STRING_LIST, None, expanded=True)


class Plaintext(Authenticator):
    """The driver; so far only its options are known."""

    Options = PlaintextOptions
