"""The entrance to access control lists.  Spec: chapter "Access control lists".

ACLs are parsed when the configuration is loaded (``compile_acls``); a text that names no ACL is one
itself, or the name of a file that holds one, and is parsed once per text.
"""

from __future__ import annotations

from dataclasses import dataclass

from pyexim.config.configuration import Configuration
from pyexim.expand.scope import Scope

OK, FAIL, DEFER, DISCARD, DROP = "ok", "fail", "defer", "discard", "drop"


@dataclass(slots=True)
class AclResult:
    """What an ACL said.

    ``user_text`` is for the client ("" for the default of the command), with an SMTP code at its start
    taken off into ``code`` (3 digits, or None) and ``extended`` ("5.7.1" or None); ``log_text`` is for
    the log.
    """

    status: str
    user_text: str = ""
    log_text: str = ""
    code: int | None = None
    extended: str | None = None
    sender_verify_failed: str | None = None
    """Detail to be sent before the reply, when a sender was rejected at a RCPT command."""
    endpass: bool = False


def compile_acls(config: Configuration) -> None:
    """Parse all ACLs of the configuration; raise ConfigError for the first fault."""
    raise NotImplementedError


def run_acl(where: str, source: str | None, scope: Scope, *, recipient: str | None = None) -> AclResult:
    """Run the ACL that an option such as acl_smtp_rcpt gives (its source text, to be expanded).

    ``where`` is connect, helo, mail, rcpt, predata, mime, data, quit, notquit, vrfy, expn, etrn, auth,
    starttls, mailauth, not_smtp, not_smtp_start, dkim, prdr, wellknown or atrn.  ``source`` None: the
    default of that command (ok, except fail for vrfy, expn, etrn... as the spec says).  Controls and
    header additions go to ``scope.message`` / ``scope.facts`` as told in acl/controls.py.
    """
    raise NotImplementedError
