"""The cram_md5 authenticator."""

from __future__ import annotations

from pyexim.auth.base import Authenticator
from pyexim.auth.options import AuthenticatorOptions
from pyexim.config.option import STRING, option, options


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
    """The driver; so far only its options are known."""

    Options = CramMd5Options
