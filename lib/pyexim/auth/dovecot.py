"""The dovecot authenticator."""

from __future__ import annotations

from dataclasses import dataclass

from pyexim.auth.options import AuthenticatorOptions
from pyexim.config.option import STRING, option


@dataclass(kw_only=True, slots=True)
class DovecotOptions(AuthenticatorOptions):
    """The options of its section."""

    server_socket: str | None = option(STRING, None)
