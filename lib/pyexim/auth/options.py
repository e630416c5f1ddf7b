"""The options that every authenticator shares.  Spec: chapter "SMTP authentication"."""

from __future__ import annotations

from pyexim.config.option import STRING, option, options


@options
class AuthenticatorOptions:
    """The options of its section."""

    client_condition: str | None = option(STRING, None, expanded=True)
    client_set_id: str | None = option(STRING, None, expanded=True)
    driver: str | None = option(STRING, None)
    public_name: str | None = option(STRING, None)
    server_advertise_condition: str | None = option(STRING, None, expanded=True)
    server_condition: str | None = option(STRING, None, expanded=True)
    server_debug_print: str | None = option(STRING, None, expanded=True)
    server_mail_auth_condition: str | None = option(STRING, None, expanded=True)
    server_set_id: str | None = option(STRING, None, expanded=True)
