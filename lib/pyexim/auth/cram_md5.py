"""The cram_md5 authenticator: challenge and response over MD5.  Spec: chapter 35; RFC 2195."""

from __future__ import annotations

import os
from typing import Final

from pyexim.auth.base import (
    ERROR,
    FAIL,
    UNEXPECTED_CHALLENGE,
    Authenticator,
    AuthRun,
    Client,
    GaveUp,
    Server,
    Verdict,
)
from pyexim.auth.options import AuthenticatorOptions
from pyexim.base.errors import ConfigError
from pyexim.base.octets import to_bytes
from pyexim.config.option import STRING, option, options

DIGITS: Final = 32
"""The length of a digest."""


@options
class CramMd5Options(AuthenticatorOptions):
    """The options of the chapter."""

    SPEC = "35.1"

    client_name: str | None = option(STRING, None, expanded=True,
        doc="The user name to give.")
    client_secret: str | None = option(STRING, None, expanded=True,
        doc="The secret to prove knowledge of.")
    server_secret: str | None = option(STRING, None, expanded=True,
        doc="The secret of the user in $auth1.")


class CramMd5(Authenticator):
    """The driver."""

    Options = CramMd5Options
    options: CramMd5Options
    takes_initial = False
    least_answers = 1
    server_options = ("server_secret",)
    client_options = ("client_secret",)

    def check(self) -> None:
        if "public_name" not in self.instance.set_places:
            raise ConfigError(f"no public name specified for the {self.name} authenticator")

    def server(self, run: AuthRun) -> Server:
        """Challenge the client, and compare its digest with what the user's secret gives."""
        host = run.scope.services.primary_hostname
        challenge = f"<{os.getpid()}.{int(run.scope.services.clock.time())}@{host}>".encode("latin-1")
        response = yield challenge
        name, space, digest = response.rpartition(b" ")
        run.add(name if space else response)
        if not name or len(digest) != DIGITS:
            return Verdict(FAIL)
        secret = run.expand(self.options.server_secret or "")
        import hmac  # heavy: not when a configuration is only read

        if not hmac.compare_digest(cram(to_bytes(secret), challenge), digest):
            return Verdict(FAIL)
        return self.judge(run)

    def client(self, run: AuthRun) -> Client:
        """Answer the challenge."""
        o = self.options
        secret = run.expand(o.client_secret or "")
        name = run.expand(o.client_name) if o.client_name is not None else run.scope.services.primary_hostname
        challenge = yield None
        if challenge is None:
            return GaveUp(ERROR, "bad base 64 string in challenge")
        yield to_bytes(name) + b" " + cram(to_bytes(secret), challenge)
        return GaveUp(UNEXPECTED_CHALLENGE)


def cram(secret: bytes, challenge: bytes) -> bytes:
    """Return the keyed MD5 digest of a challenge, in hexadecimal digits."""
    import hmac

    return hmac.new(secret, challenge, "md5").hexdigest().encode("ascii")
