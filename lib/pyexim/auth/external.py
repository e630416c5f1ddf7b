"""The external authenticator."""

from __future__ import annotations

from dataclasses import dataclass

from pyexim.auth.options import AuthenticatorOptions
from pyexim.config.option import STRING, option


@dataclass(kw_only=True, slots=True)
class ExternalOptions(AuthenticatorOptions):
    """The options of its section."""

    client_send: str | None = option(STRING, None, expanded=True)
    server_param2: str | None = option(STRING, None, expanded=True)
    server_param3: str | None = option(STRING, None, expanded=True)
