"""The spa authenticator."""

from __future__ import annotations

from dataclasses import dataclass

from pyexim.auth.options import AuthenticatorOptions
from pyexim.config.option import STRING, option


@dataclass(kw_only=True, slots=True)
class SpaOptions(AuthenticatorOptions):
    """The options of its section."""

    client_domain: str | None = option(STRING, None, expanded=True)
    client_password: str | None = option(STRING, None, expanded=True)
    client_username: str | None = option(STRING, None, expanded=True)
    server_password: str | None = option(STRING, None, expanded=True)
