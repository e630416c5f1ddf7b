"""The tls authenticator: a client's certificate authenticates its connection, without a word of SMTP.

Spec: chapter 42.
"""

from __future__ import annotations

from pyexim.auth.base import DEFER, FAIL, Authenticator, AuthRun, Verdict
from pyexim.auth.options import AuthenticatorOptions
from pyexim.base.errors import ExpansionError, ForcedFail
from pyexim.config.configuration import Instance
from pyexim.config.option import STRING, option, options


@options
class TlsOptions(AuthenticatorOptions):
    """The options of the chapter."""

    SPEC = "42"

    server_param: str | None = option(STRING, None, expanded=True,
        doc="Another name of server_param1.")
    server_param1: str | None = option(STRING, None, expanded=True,
        doc="A value for $auth1.")
    server_param2: str | None = option(STRING, None, expanded=True,
        doc="A value for $auth2.")
    server_param3: str | None = option(STRING, None, expanded=True,
        doc="A value for $auth3.")


class Tls(Authenticator):
    """The driver.  It has no mechanism, and therefore no public name, and no conversation."""

    Options = TlsOptions
    options: TlsOptions
    server_options = ("server_condition", "server_param", "server_param1", "server_param2", "server_param3")

    def __init__(self, instance: Instance) -> None:
        super().__init__(instance)
        self.public_name = ""

    def decide(self, run: AuthRun) -> Verdict:
        """Tell whether a connection with a good certificate is authenticated.

        The values that are set become $auth1 and so on without gaps, as in Exim.
        """
        o = self.options
        first = o.server_param1 if o.server_param1 is not None else o.server_param
        try:
            for source in (first, o.server_param2, o.server_param3):
                if source is not None:
                    run.add(run.expand(source))
        except ForcedFail:
            return Verdict(FAIL)
        except ExpansionError as e:
            return Verdict(DEFER, "", e.text)
        return self.judge(run)
