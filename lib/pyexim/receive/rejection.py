"""What the logs say of a rejection.  Spec: chapter "Log files"; log_reject_target of the ACL chapter."""

from __future__ import annotations

from typing import Final

from pyexim.acl import api as acl
from pyexim.expand.scope import LogSink
from pyexim.model.message import Message

_NAMED: Final = 5
"""So many recipients are named."""


def rejected_header(message: Message, raw_recipients: list[str], log: LogSink) -> str:
    """Return the envelope and the header lines for the reject log, also those that were replaced or removed."""
    if not log.selected("rejected_header"):
        return ""
    out = [f"Envelope-from: <{message.sender_address}>\n"]
    names = [r.address for r in message.recipients] or raw_recipients
    for i, name in enumerate(names[:_NAMED]):
        out.append(f"Envelope-to: <{name}>\n" if i == 0 else f"    <{name}>\n")
    if len(names) > _NAMED:
        out.append("    ...\n")
    out += [f"{h.type} {h.text}" for h in message.headers]
    return "".join(out)


def write_rejection(log: LogSink, text: str, result: acl.AclResult, message_id: str | None = None,
                    headers: str = "", selector: str = "") -> None:
    """Write a rejection to the logs that the ACL's log_reject_target names; to the main log as a selector says."""
    targets = result.log_targets
    if selector and not log.selected(selector):
        targets -= {"main"}
    if "reject" in targets:
        log.reject(text, message_id=message_id, headers=headers, also_main="main" in targets)
    elif "main" in targets and "panic" not in targets:
        log.main(text, message_id=message_id)
    if "panic" in targets:
        log.panic(text, message_id=message_id, also_main="main" in targets and "reject" not in targets)

