"""The spa authenticator: Microsoft's Secure Password Authentication, which is NTLM.  Spec: chapter 40."""

from __future__ import annotations

import hmac
import os
from typing import Final

from pyexim.auth.base import (
    CANCELLED,
    FAIL,
    UNEXPECTED_CHALLENGE,
    Authenticator,
    AuthRun,
    Client,
    GaveUp,
    Server,
    Verdict,
)
from pyexim.auth.ntlm import (
    CHALLENGE_SIZE,
    RESPONSE_SIZE,
    Challenge,
    format_authenticate,
    format_challenge,
    format_negotiate,
    parse_authenticate,
    parse_challenge,
    response,
)
from pyexim.auth.options import AuthenticatorOptions
from pyexim.config.option import STRING, option, options

SUPPORTED: Final = "NTLM supported"
"""What clients expect to read after AUTH; it is no base64."""


@options
class SpaOptions(AuthenticatorOptions):
    """The options of the chapter."""

    SPEC = "40.1"

    client_domain: str | None = option(STRING, None, expanded=True,
        doc="The domain to give; that of the server where it is unset.")
    client_password: str | None = option(STRING, None, expanded=True,
        doc="The password.")
    client_username: str | None = option(STRING, None, expanded=True,
        doc="The user name.")
    server_password: str | None = option(STRING, None, expanded=True,
        doc="The password of the user in $auth1.")


class Spa(Authenticator):
    """The driver."""

    Options = SpaOptions
    options: SpaOptions
    least_answers = 2
    server_options = ("server_password",)
    client_options = ("client_username",)

    def check(self) -> None:
        o = self.options
        if (o.client_username is None) is not (o.client_password is None):
            raise self.wrong("one of client_username and client_password cannot be set without the other")

    def server(self, run: AuthRun) -> Server:
        """Challenge the client, and compare its response with what the user's password gives."""
        if run.initial is None:
            yield SUPPORTED  # what the client says then is of no interest
        challenge = os.urandom(CHALLENGE_SIZE)
        said = parse_authenticate((yield format_challenge(Challenge(challenge))))
        if said is None or not said.user:
            return Verdict(FAIL)
        run.add(said.user)
        password = run.expand(self.options.server_password or "")
        if len(said.response) != RESPONSE_SIZE or not hmac.compare_digest(said.response, response(password, challenge)):
            return Verdict(FAIL)
        return self.judge(run)

    def client(self, run: AuthRun) -> Client:
        """Give our name, and answer the challenge."""
        o = self.options
        user, password, domain = (run.expand(x or "") for x in (o.client_username, o.client_password, o.client_domain))
        yield None
        challenge = yield format_negotiate(domain)
        said = parse_challenge(challenge) if challenge is not None else None
        if said is None:
            return GaveUp(CANCELLED, "No NTLM challenge in server response")
        yield format_authenticate(said, user, password, domain)
        return GaveUp(UNEXPECTED_CHALLENGE)
