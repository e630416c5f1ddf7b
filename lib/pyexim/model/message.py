"""A message: its envelope, its header lines and the facts that its spool header file keeps."""

from __future__ import annotations

from pyexim.base.record import dataclass, field
from pyexim.model.connection import Connection


@dataclass(slots=True)
class Header:
    """One header field, all its lines.

    ``text`` is the field as stored: name, colon, body, with "\\n" at the end of every line.
    ``type`` is the one-character code of the spool file: "F" From, "T" To, "C" Cc, "B" Bcc,
    "R" Reply-To, "S" Sender, "P" Received, "I" Message-ID, "*" deleted (replaced), " " other.
    Spec: chapter "Format of spool files".
    """

    text: str
    type: str = " "

    @property
    def name(self) -> str:
        """The name before the colon, as written."""
        return self.text.partition(":")[0].rstrip(" \t")

    @property
    def body(self) -> str:
        """Everything after the colon."""
        return self.text.partition(":")[2]


@dataclass(slots=True)
class Recipient:
    """One recipient of the envelope, as the spool header file has it."""

    address: str
    errors_to: str | None = None
    parent: int = -1
    """Index of the one_time parent in the list of recipients, or -1."""
    dsn_orcpt: str | None = None
    dsn_flags: int = 0
    bmi: str | None = None


@dataclass(slots=True)
class Message:
    """A message that is being received, or was read from the spool.

    Times are seconds since the epoch.  ``conn`` holds the facts of reception; on delivery it is
    built from the spool header file.  Sizes are octets as on the spool (lines end in LF).
    """

    message_id: str = ""
    """$message_exim_id."""
    sender_address: str = ""
    recipients: list[Recipient] = field(default_factory=list)
    headers: list[Header] = field(default_factory=list)
    conn: Connection = field(default_factory=Connection)
    received_time: float = 0.0
    received_time_complete: float = 0.0
    received_for: str | None = None
    originator_login: str = ""
    originator_name: str = ""
    originator_uid: int = -1
    originator_gid: int = -1
    body_linecount: int = 0
    body_zerocount: int = 0
    body_size: int = 0
    max_received_linelength: int = 0
    message_size: int = 0
    """$message_size: header and body."""
    message_linecount: int = 0
    received_count: int = 0
    acl_m: dict[str, str] = field(default_factory=dict)
    """ACL variables of the message, by their names without "acl_" ("m0", "m_foo")."""
    queue_name: str = ""
    warning_count: int = 0
    """Delay warnings sent."""
    dont_deliver: bool = False
    """-N."""
    local_error_message: bool = False
    """A bounce or warning made here ("-localerror")."""
    sender_local: bool = False
    sender_set_untrusted: bool = False
    unrewritten_sender: str = ""
    """The envelope sender before rewriting has changed it."""
    frozen_since: float | None = None
    manual_thaw: bool = False
    deliver_firsttime: bool = False
    first_delivery: bool = False
    body_8bit: int = 0
    """0 unset, 7 or 8: the BODY parameter of MAIL."""
    smtputf8: bool = False
    utf8_downconvert: int = 0
    spool_wireformat: bool = False
    dsn_envid: str | None = None
    dsn_ret: int = 0
    authenticated_sender: str | None = None
    spam: dict[str, str] = field(default_factory=dict)
    """By the names of the variables: spam_score, spam_score_int, spam_bar, spam_report, spam_action."""
    local_scan_data: str | None = None
    host_data: str | None = None
    filter_numbers: dict[str, str] = field(default_factory=dict)
    """What the system filter has left in $n0 to $n9, by the names "sn0" to "sn9"."""
    nonrecipients: set[str] = field(default_factory=set)
    """Addresses (their ``unique`` form) to which delivery is complete."""
    user_null_sender: bool = False
    bounce_recipient: str | None = None
    extra_spool_lines: list[str] = field(default_factory=list)
    """Lines of the spool header file that this version does not know, kept for writing back."""
    data_path: str | None = None
    """File name of the -D file while it can be read (for $message_body)."""
    data_start: int = 0
    """Octets before the body in that file: its first line holds the id and "-D"."""
    data_fd: int = -1
    """The same file, open: for a process that may not open it itself."""
    sender_address_data: str | None = None
    sender_data: str | None = None
    dkim: dict[str, str] = field(default_factory=dict)
    flags: set[str] = field(default_factory=set)
    """Rare facts; "allow_unqualified_sender" and "allow_unqualified_recipient" are kept on the spool."""
