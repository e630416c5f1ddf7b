"""The external authenticator: an identity that something other than SMTP proves.  Spec: chapter 41; RFC 4422 A."""

from __future__ import annotations

from pyexim.auth.base import ERROR, Authenticator, AuthRun, Client, GaveUp, Server
from pyexim.auth.options import AuthenticatorOptions
from pyexim.base.octets import to_bytes
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
    """The driver."""

    Options = ExternalOptions
    options: ExternalOptions
    client_options = ("client_send",)

    def server(self, run: AuthRun) -> Server:
        """Take the identity, and let server_condition decide."""
        o = self.options
        identity = run.initial if run.initial is not None else (yield b"")
        run.add(identity.partition(b"\0")[0])
        params = (o.server_param2, o.server_param3)
        for source in params[:2 if o.server_param3 is not None else 1 if o.server_param2 is not None else 0]:
            run.add(run.expand(source) if source is not None else "")
        return self.judge(run)

    def client(self, run: AuthRun) -> Client:
        """Claim the identity, which may be empty: that of the channel."""
        identity = to_bytes(run.expand(self.options.client_send or ""))
        yield identity
        return GaveUp(ERROR, f"Too few items in client_send in {self.name} authenticator")
