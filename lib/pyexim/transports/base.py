"""The contract of a transport: a batch of addresses of one message in, one result per address out.

``deliver`` runs with its final privileges already set: local transports in a child process as the
recipient's user, remote ones in a process of the exim user.  It writes no log and no spool file: what
is to be logged and recorded goes into the results (and, for deliveries that succeeded, to
``run.delivered``, which journals at once).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pyexim.base.errors import ConfigError
from pyexim.base.octets import is_digits
from pyexim.base.record import dataclass, field
from pyexim.config.configuration import Instance
from pyexim.expand.scope import Scope
from pyexim.model.address import Address
from pyexim.model.message import Message

OK = "ok"
DEFER = "defer"
FAIL = "fail"
_SET_UP = ("Tainted ", "Malformed value ", "Failed to expand ", "failed to expand ", "Expansion of ", "TCP port ",
           "Invalid quota_warn_threshold ", "quota_filecount value ", "transport filter process failed")
ERRNO_EXPANSION = -27
"""A text around the message cannot be expanded; of this the panic log is told nothing, as in Exim."""
PENDING = "pending"
"""Not tried yet: the next host, or fallback hosts, may take it."""


@dataclass(slots=True)
class Result:
    """What became of one address.

    ``text`` is the detail for log and bounce ("SMTP error from remote mail server after RCPT
    TO:<...>: ..." and so on); ``errno`` and ``more_errno`` feed the retry rules (retry.errors lists
    the codes of our own); ``basic_errno`` kinds are the negative numbers there.
    """

    address: Address
    status: str
    text: str = ""
    errno: int = 0
    more_errno: int = 0
    freeze: bool = False
    host_name: str | None = None
    host_address: str | None = None
    host_port: int | None = None
    confirmation: str | None = None
    """The text after C= of the log line, without the quotes."""
    flags: tuple[str, ...] = ()
    """Facts for the log line: "continued" (asterisk), "pipelining", "chunking", "prdr", "utf8"..."""
    tls: dict[str, str] = field(default_factory=dict)
    auth: tuple[str, ...] | None = None
    """The authenticator, as whom, and AUTH= of MAIL, as far as there are such."""
    output: str | None = None
    """Output of a pipe that is to be returned or logged."""
    return_output: bool = False
    log_output: str | None = None
    """First line of the output, to be logged as "<address>: NAME transport output: ..."."""
    file_name: str | None = None
    seconds: float = 0.0
    retries: list[Any] = field(default_factory=list)
    """retry.RetryItem objects: hosts, addresses and messages to remember or to forget."""
    size: int = 0
    """Octets written, for the S= of delivery_size."""
    journal_error: int = 0
    """errno of the journal, which did not take this delivery: known from this result only."""
    log_extra: str = ""
    submissions: list[tuple[list[str], str]] = field(default_factory=list)
    """Messages to be submitted on behalf of this delivery (arguments, text of octets): a process that has become
    the recipient cannot write to the spool, so its maker submits them."""
    once_more: bool = False
    """The transport is to be run again, with ``reply_sent``, when the reply has been submitted."""
    told: bool = False
    """The text is what a server said of this very recipient: the sender may read it."""
    panic: bool = False
    """The set-up is wrong: the panic log has the deferral too, and no retry time is computed from it."""

    def __post_init__(self) -> None:
        if self.status == DEFER and self.errno <= 0 and self.errno != ERRNO_EXPANSION and self.text.startswith(_SET_UP):
            self.panic = True


@dataclass(slots=True)
class TransportRun:
    """What a transport may use.

    ``data_fd`` is the open -D file (the body begins at ``message.data_start``); ``headers`` are the
    header lines as stored on the spool; the transport applies additions and removals through
    ``transports.write``.  ``delivered(address, ...)`` must be called once deliveries are safe and before
    anything else is done: it journals.  With
    ``sync=False`` the entry need not be on disk yet; another call, for the same addresses, sees to that.
    It returns 0, or the errno of a journal that did not take the entry: a transport that can take its delivery back
    does so then, and defers.  For others that changes nothing: the delivery has been made.
    """

    scope: Scope
    message: Message
    data_fd: int
    delivered: Callable[..., int]
    return_path: str
    uid: int | None = None
    gid: int | None = None
    home_dir: str | None = None
    current_dir: str | None = None
    continued: Any = None
    """A live connection to go on with (smtp), or None."""
    first_attempt: bool = True
    force: bool = False
    """Retry times of hosts are not respected (-qf, -M)."""
    submitted_later: bool = False
    """What is submitted goes out after the transport has ended: it is run once more for what asks for that."""
    reply_sent: bool = False
    """This is that second run: an autoreply has gone, and remains to be remembered."""


class Transport:
    """Base of the transports."""

    Options: type[Any]
    is_local = True

    def __init__(self, instance: Instance) -> None:
        self.instance = instance
        self.name = instance.name
        self.options = instance.options
        user = getattr(self.options, "user", None)
        if user is not None and is_digits(user) and self.options.group is None:
            raise self.wrong(f"user set without group for the {self.name} transport", "user", named=False)

    def check(self) -> None:
        """Refuse impossible combinations when the configuration is read; raise ConfigError."""

    def wrong(self, text: str, option: str, *, named: bool = True) -> ConfigError:
        """Return the error for ``check`` to raise about an option.

        Not ``named``: the text names the transport itself.
        """
        place = self.instance.set_places.get(option, self.instance.place)
        return ConfigError(text, place, option, about=f"{self.name} transport" if named else "")

    def deliver(self, batch: list[Address], run: TransportRun) -> list[Result]:
        """Deliver the message to all addresses of the batch in one go; a result for each."""
        raise NotImplementedError
