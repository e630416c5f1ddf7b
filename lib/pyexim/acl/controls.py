"""What ``control = ...``, ``queue = ...``, ``add_header`` and ``remove_header`` record for reception.

One :class:`AclControls` lives as long as a connection (or one local submission) in
``scope.facts["controls"]``; :func:`controls_of` makes it on first use.  The fields of the first group
hold for the connection, those of the second for the message at hand, ``caseful_local_part`` for the
recipient at hand.  Reception reads the fields, and calls ``reset_message()`` wherever the
variables $acl_m... are reset.  The rows at the end say which control is spelled how, takes what, and
may stand in which ACL.

Spec: sections "Use of the control modifier", "Adding header lines in ACLs", "Removing header lines in
ACLs" of the chapter "Access control lists"; "Submission mode" of "Message processing".
"""

from __future__ import annotations

from typing import Any

from pyexim.base.record import dataclass, field
from pyexim.expand.scope import Scope

AT_END, AT_START, AFTER_RECEIVED, AT_START_RFC = "end", "start", "received", "start_rfc"

FAKE_TEXT = ("Your message has been rejected but is being kept for evaluation.\n"
             "If it was a legitimate message, it may still be delivered to the target recipient(s).")
"""What a client is told by fakereject and fakedefer without a text of their own."""


@dataclass(slots=True)
class AddedHeader:
    """A header line to be added: its text (ending in a newline) and where it goes."""

    text: str
    position: str = AT_END


@dataclass(slots=True)
class AclControls:
    """What the ACLs of a connection have asked for."""

    # -- for the connection
    enforce_sync: bool | None = None
    """None: as smtp_enforce_sync says."""
    pipelining: bool = True
    """False: PIPELINING is not to be advertised."""
    multiline: bool = True
    """False: only one line of an ACL's rejection is sent, and no details of sender verification."""
    allow_auth_unadvertised: bool = False
    wellknown: bool = False
    dscp: str | None = None
    """The DSCP value asked for; whoever owns the socket sets it (and clears this)."""
    debug: str | None = None
    # -- for the message
    delay_flush: bool = True
    callout_flush: bool = True
    queue_only: bool = False
    queue_first_pass: bool = False
    """With queue_only: a delivery process runs, but stops short of SMTP (first_pass_route)."""
    freeze: bool = False
    freeze_no_tell: bool = False
    submission: bool = False
    submission_sender_retain: bool = False
    submission_domain: str | None = None
    """"" after ``domain=`` without a value: the domain of the address is kept."""
    submission_name: str | None = None
    suppress_local_fixups: bool = False
    fake_code: int | None = None
    """450 or 550 instead of the 250 after the data (fakedefer, fakereject)."""
    fake_text: str = ""
    no_mbox_unspool: bool = False
    dkim_disable_verify: bool = False
    dmarc_disable_verify: bool = False
    dmarc_enable_forensic: bool = False
    utf8_downconvert: int = 0
    """1 convert, -1 convert if needed, 0 do not."""
    cutthrough: bool = False
    cutthrough_defer_pass: bool = False
    headers_add: list[AddedHeader] = field(default_factory=list)
    """Lines waiting to be added; :func:`take_headers` hands them out and empties the list."""
    headers_remove: list[str] = field(default_factory=list)
    """Names (or patterns, since 4.97) waiting to be removed."""
    warned: set[str] = field(default_factory=set)
    """Lines that ``warn log_message`` has logged for this message."""
    verified_senders: dict[tuple[str, object], Any] = field(default_factory=dict)
    """What sender verification found for this message, by address and options."""
    rates: dict[str, float] = field(default_factory=dict)
    """Rates that ``ratelimit`` has computed for this message, by key."""
    sender_failure: Any = None
    """The verification failure to be told with a rejection (verify.sender.SenderFailure)."""
    # -- for the recipient
    caseful_local_part: bool = False

    def reset_message(self) -> None:
        """Forget what belongs to one message."""
        self.delay_flush = self.callout_flush = True
        self.queue_only = self.queue_first_pass = False
        self.freeze = self.freeze_no_tell = False
        self.submission = self.submission_sender_retain = self.suppress_local_fixups = False
        self.submission_domain = self.submission_name = None
        self.fake_code = None
        self.fake_text = ""
        self.no_mbox_unspool = self.dkim_disable_verify = False
        self.dmarc_disable_verify = self.dmarc_enable_forensic = False
        self.utf8_downconvert = 0
        self.cutthrough = self.cutthrough_defer_pass = False
        self.caseful_local_part = False
        if self.headers_add:
            self.headers_add = []
        if self.headers_remove:
            self.headers_remove = []
        if self.warned:
            self.warned = set()
        if self.verified_senders:
            self.verified_senders = {}
        if self.rates:
            self.rates = {}
        self.sender_failure = None


def controls_of(scope: Scope) -> AclControls:
    """Return the controls of the connection at hand, made anew when there are none yet."""
    have = scope.facts.get("controls")
    if have is None:
        have = scope.facts["controls"] = AclControls()
    return have


def take_headers(scope: Scope) -> tuple[list[AddedHeader], list[str]]:
    """Hand out the header lines to add and the names to remove, and forget them ($headers_added too).

    Called by reception once after the predata ACL (before the DATA ACL) and once after the last ACL.
    """
    controls = controls_of(scope)
    added, removed = controls.headers_add, controls.headers_remove
    controls.headers_add, controls.headers_remove = [], []
    scope.headers_added.clear()
    return added, removed
