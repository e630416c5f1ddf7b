"""Where an ACL may run, what Exim calls the place in its messages, and groups of places.

Spec: section "Specifying when ACLs are used".
"""

from __future__ import annotations

from typing import Final

NAMES: Final[dict[str, str]] = {
    "rcpt": "RCPT", "mail": "MAIL", "predata": "PREDATA", "mime": "MIME", "dkim": "DKIM", "data": "DATA",
    "prdr": "PRDR", "not_smtp": "non-SMTP", "auth": "AUTH", "connect": "connection", "etrn": "ETRN",
    "expn": "EXPN", "helo": "EHLO or HELO", "mailauth": "MAILAUTH", "not_smtp_start": "non-SMTP-start",
    "notquit": "NOTQUIT", "quit": "QUIT", "starttls": "STARTTLS", "vrfy": "VRFY", "wellknown": "WELLKNOWN",
    "atrn": "ATRN", "delivery": "delivery", "unknown": "unknown",
}
"""The name that ``run_acl`` is given, and Exim's word for it."""

EVERYWHERE: Final = frozenset(NAMES)
COMMANDS: Final = frozenset({"auth", "connect", "etrn", "expn", "helo", "mailauth", "notquit", "quit", "starttls",
                             "vrfy", "wellknown", "atrn"})
"""Places that are not concerned with a message."""
NON_SMTP: Final = frozenset({"not_smtp", "not_smtp_start"})
ENVELOPE: Final = frozenset({"mail", "rcpt", "predata"})
CONTENT: Final = frozenset({"data", "mime", "dkim", "prdr"})
"""Places where the data has arrived, over SMTP."""

OPTIONS: Final[dict[str, str]] = {
    "not_smtp": "acl_not_smtp", "not_smtp_start": "acl_not_smtp_start",
    "prdr": "acl_smtp_data_prdr",
    **{w: f"acl_smtp_{w}" for w in ("auth", "connect", "data", "dkim", "etrn", "expn", "helo", "mail", "mailauth",
                                    "mime", "notquit", "predata", "quit", "rcpt", "starttls", "vrfy", "wellknown",
                                    "atrn")},
}
"""The main option that names the ACL of each place."""

DISCARDING: Final = frozenset({"mail", "rcpt", "prdr", "mime", "data", "not_smtp", "dkim"})
"""Where a message, or a recipient, can be discarded."""
ACCEPTED_WHEN_UNSET: Final = EVERYWHERE - {"rcpt", "vrfy", "expn", "etrn", "wellknown", "atrn"}
"""Where a command is accepted when its option is unset; elsewhere it is denied."""
