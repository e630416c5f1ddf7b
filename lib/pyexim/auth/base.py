"""The contract of an authenticator.  Spec: chapter "SMTP authentication"; RFC 4954.

A driver holds both sides of one mechanism as conversations without I/O (dovecot's, whose decision is another
program's, is the exception):

``server(run)`` is a generator.  It yields challenges (octets, before base64; text goes out as it is) and receives the
client's responses (octets, decoded); it returns a ``Verdict``.  What came with the AUTH command is ``run.initial``,
None where nothing did.  That a client cancels or sends no base64 ends the conversation without the driver
(``dialogue``).

``client(run)`` is a generator.  It first yields what goes with the AUTH command (None: nothing), then receives each
challenge, decoded, or None for one that is no base64, and yields the response.  Returning is giving up, with a
``GaveUp``.  The server says when it is content, which counts from ``least_answers`` responses on.

Expansions go through ``run``; ForcedFail and ExpansionError may be left to whoever runs the conversation: as a server
a forced failure refuses the client and any other is a temporary error; as a client the one passes over the
authenticator and the other defers the delivery.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, Final

from pyexim.base.errors import ConfigError, ExpansionError, ForcedFail
from pyexim.base.octets import lower, to_text
from pyexim.base.record import dataclass, field
from pyexim.base.taint import taint
from pyexim.config.configuration import Instance
from pyexim.expand.base import DIGIT_NAMES
from pyexim.expand.engine import expand
from pyexim.expand.scope import Scope

OK, FAIL, DEFER, CANCELLED, BAD_BASE64, UNEXPECTED = "ok", "fail", "defer", "cancelled", "bad base64", "unexpected"
"""What comes of a client's attempt; the last: data came with an AUTH command that takes none."""

SKIPPED, ERROR, UNEXPECTED_CHALLENGE = "skipped", "error", "unexpected challenge"
"""Why a client gives up besides CANCELLED (which is logged): the configuration passes over the authenticator, delivery
is deferred, the server asks for more than there is to say."""

AUTH_VARIABLES: Final = ("auth1", "auth2", "auth3", "auth4")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What comes of an attempt.  ``user_text`` is for the client and ``log_text`` for the log, where it is deferred."""

    status: str
    user_text: str = ""
    log_text: str = ""


@dataclass(frozen=True, slots=True)
class GaveUp:
    """A client's conversation has ended without the server's consent."""

    status: str
    text: str = ""


@dataclass(slots=True)
class AuthRun:
    """One attempt: what a driver may use.  ``who`` names the authenticator in debugging output."""

    scope: Scope
    who: str = ""
    initial: bytes | None = None
    values: list[str] = field(default_factory=list)
    """$auth1 and so on, as far as they are set; $1 and so on are the same."""
    source: str = ""
    """What was expanded last."""

    def expand(self, source: str) -> str:
        """Return the expansion of an option; raises ExpansionError."""
        self.source = source
        return expand(source, self.scope)

    def add(self, *values: bytes | str) -> None:
        """Set the next of the variables $auth1, $auth2..., and $1, $2..."""
        variables = self.scope.vars
        for value in values:
            text = taint(to_text(value) if isinstance(value, bytes) else value)
            self.values.append(text)
            number = len(self.values)
            if number <= len(AUTH_VARIABLES):
                variables[AUTH_VARIABLES[number - 1]] = text
            variables[str(number)] = text

    def clear(self) -> None:
        """Unset the variables."""
        self.values.clear()
        for name in (*AUTH_VARIABLES, *DIGIT_NAMES):
            self.scope.vars.pop(name, None)

    def debug(self, text: str) -> None:
        """Show something where authentication is debugged."""
        show = self.scope.services.debug
        if show is not None:
            show("auth", text)


Server = Generator[bytes | str, bytes, Verdict]
Client = Generator[bytes | None, bytes | None, GaveUp]

_TRUE: Final = frozenset({"1", "yes", "true"})
_FALSE: Final = frozenset({"", "0", "no", "false"})


class Authenticator:
    """Base of the authenticators."""

    Options: type[Any]

    takes_initial = True
    """Data may come with the AUTH command."""
    least_answers = 0
    """As a client, so many challenges are answered before a server's consent is believed."""
    server_options: tuple[str, ...] = ("server_condition",)
    client_options: tuple[str, ...] = ()
    """The options one of which makes it usable as a server, or as a client."""

    def __init__(self, instance: Instance) -> None:
        self.instance = instance
        self.name = instance.name
        self.options = instance.options
        self.public_name: str = instance.options.public_name or instance.name
        settings = (getattr(self.options, name) for name in sorted(dir(self.options))
                    if name.startswith("client_") and name != "client_set_id")
        self.client_sources = tuple(x for x in settings if isinstance(x, str) and "$" in x)
        """The client's settings that may be different from message to message."""

    def check(self) -> None:
        """Refuse impossible combinations when the configuration is read; raise ConfigError."""

    @property
    def is_server(self) -> bool:
        """The options make it usable as a server."""
        return any(getattr(self.options, name) is not None for name in self.server_options)

    @property
    def is_client(self) -> bool:
        """The options make it usable as a client."""
        return any(getattr(self.options, name) is not None for name in self.client_options)

    def server(self, run: AuthRun) -> Server:
        """Authenticate a client."""
        raise NotImplementedError

    def client(self, run: AuthRun) -> Client:
        """Authenticate ourselves."""
        raise NotImplementedError

    # -- what the drivers share

    def wrong(self, text: str) -> ConfigError:
        """Return the error for an impossible setting of this authenticator."""
        return ConfigError(text, about=f"{self.name} authenticator")

    def judge(self, run: AuthRun, what: str = "server_condition") -> Verdict:
        """Return what server_condition says; success where it is unset.  Spec: 33.1, 34.3."""
        source = self.options.server_condition
        if source is None:
            return Verdict(OK)
        show = run.scope.services.debug
        if show is not None:
            show("auth", _variables(f"{self.name} authenticator {what}:", run))
        try:
            text = run.expand(source)
        except ForcedFail as e:
            run.debug(f"expansion failed: {e.text}")
            return Verdict(FAIL)
        except ExpansionError as e:
            run.debug(f"expansion failed: {e.text}")
            return Verdict(DEFER, "", e.text)
        run.debug(f"expanded string: {text}")
        word = lower(text)
        if word in _FALSE:
            return Verdict(FAIL)
        if word in _TRUE:
            return Verdict(OK)
        return Verdict(DEFER, text, text)


def _variables(head: str, run: AuthRun) -> str:
    lines = [head]
    lines += [f"  $auth{i} = {value}" for i, value in enumerate(run.values[:len(AUTH_VARIABLES)], 1)]
    lines += [f"  ${i} = {value}" for i, value in enumerate(run.values, 1)]
    return "\n".join(lines)
