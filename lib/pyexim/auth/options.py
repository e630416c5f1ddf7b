"""The options that every authenticator shares.  Spec: chapter "SMTP authentication"."""

from __future__ import annotations

from pyexim.config.option import STRING, option, options


@options
class AuthenticatorOptions:
    """The options of the chapter."""

    SPEC = "33.1"

    client_condition: str | None = option(STRING, None, expanded=True,
        doc="As a client, use this authenticator only if the expansion is true.")
    client_set_id: str | None = option(STRING, None, expanded=True,
        doc="As a client, who we are in the log lines of deliveries.")
    driver: str | None = option(STRING, None,
        doc="The authenticator's driver.")
    public_name: str | None = option(STRING, None,
        doc="The mechanism's name in the protocol; by default the instance's name.")
    server_advertise_condition: str | None = option(STRING, None, expanded=True,
        doc="As a server, offer the mechanism only if the expansion is true.")
    server_condition: str | None = option(STRING, None, expanded=True,
        doc="As a server, whether the authentication succeeds.")
    server_debug_print: str | None = option(STRING, None, expanded=True,
        doc="As a server, text for the debugging output.")
    server_mail_auth_condition: str | None = option(STRING, None, expanded=True,
        doc="As a server, whether the AUTH parameter of MAIL is believed.")
    server_set_id: str | None = option(STRING, None, expanded=True,
        doc="As a server, what $authenticated_id is set to.")
