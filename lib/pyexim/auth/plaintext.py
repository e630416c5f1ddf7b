"""The plaintext authenticator: PLAIN, LOGIN and whatever else sends strings in the clear.  Spec: chapter 34."""

from __future__ import annotations

from typing import Final

from pyexim.auth.base import (
    AUTH_VARIABLES,
    CANCELLED,
    UNEXPECTED_CHALLENGE,
    Authenticator,
    AuthRun,
    Client,
    GaveUp,
    Server,
)
from pyexim.auth.options import AuthenticatorOptions
from pyexim.base.octets import to_bytes
from pyexim.base.pattern import lazy_pattern
from pyexim.config.option import BOOL, STRING, STRING_LIST, option, options
from pyexim.expand.lists import split_list

MAX_STRINGS: Final = 20
"""So many strings of the client are kept, at most."""


@options
class PlaintextOptions(AuthenticatorOptions):
    """The options of the chapter."""

    SPEC = "34.1"

    client_ignore_invalid_base64: bool = option(BOOL, False,
        doc="Go on after a prompt that is no base64.")
    client_send: str | None = option(STRING, None, expanded=True,
        doc="The strings to send, a list.")
    server_prompts: str | None = option(STRING_LIST, None, expanded=True,
        doc="The prompts to give, a list.")


class Plaintext(Authenticator):
    """The driver."""

    Options = PlaintextOptions
    options: PlaintextOptions
    client_options = ("client_send",)

    def server(self, run: AuthRun) -> Server:
        """Collect strings until there are as many as prompts, then let server_condition decide."""
        source = self.options.server_prompts
        prompts = split_list(run.expand(source)) if source is not None else []
        if run.initial is not None:
            _take(run, run.initial)
        # A prompt is for the string whose number it has: those that came with AUTH need none.
        while len(run.values) < len(prompts):
            _take(run, (yield to_bytes(prompts[len(run.values)])))
        return self.judge(run)

    def client(self, run: AuthRun) -> Client:
        """Send the strings, one after another; the prompts are $auth1 and so on in those that follow."""
        o = self.options
        challenge: bytes | None = b""
        for number, item in enumerate(split_list(o.client_send or "")):
            if number > 0:
                if challenge is None and not o.client_ignore_invalid_base64:
                    return GaveUp(CANCELLED, "Invalid base64 string in server response")
                if len(run.values) < len(AUTH_VARIABLES):
                    run.add(challenge or b"")
            data = circumflexes(to_bytes(run.expand(item)))
            challenge = yield (data if data or number > 0 else None)
        return GaveUp(UNEXPECTED_CHALLENGE)


def _take(run: AuthRun, data: bytes) -> None:
    """Keep the strings of a response, which NULs separate."""
    for piece in data.split(b"\0"):
        if len(run.values) < MAX_STRINGS:
            run.add(piece)


_circumflex = lazy_pattern(rb"\^\^?")


def circumflexes(data: bytes) -> bytes:
    """Replace single circumflexes by NULs and double ones by one; three are one NUL-less pair and a single."""
    return _circumflex.sub(lambda m: b"^" if len(m[0]) == 2 else b"\0", data)
