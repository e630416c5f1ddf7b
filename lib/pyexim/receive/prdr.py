"""PRDR: an ACL and a reply of its own for every recipient, after the data.

Spec: section "The SMTP PRDR ACL", option prdr_enable.
"""

from __future__ import annotations

from typing import Final

from pyexim.acl import api as acl
from pyexim.expand.scope import Scope
from pyexim.model.message import Message
from pyexim.model.reply import Reply
from pyexim.receive.texts import fold_reply

_DEFAULTS: Final = {acl.OK: (250, "acceptance"), acl.DISCARD: (250, "acceptance"),
                    acl.DEFER: (450, "temporary refusal")}
_REFUSAL: Final = (550, "refusal")


def ask(scope: Scope, message: Message) -> list[Reply]:
    """Run the ACL for every recipient, take away those that it does not accept; return the replies for them."""
    log = scope.services.log
    replies = [Reply(353, "PRDR content analysis beginning")]
    for recipient in list(message.recipients):
        address = recipient.address
        result = acl.run_acl("prdr", scope.config.main.acl_smtp_data_prdr, scope, recipient=address)
        code, word = _DEFAULTS.get(result.status, _REFUSAL)
        said = f"PRDR R=<{address}> {word}"
        text, logged = said, said
        if result.user_text:
            prefix = f"{result.extended} " if result.extended else ""
            text = prefix + fold_reply(result.user_text).replace("\n", f"\n{prefix}")
            logged = f"PRDR {address} {f'{result.code} ' if result.code else ''}{prefix}{result.user_text}"
        replies.append(Reply(result.code or code, text))
        log.main(logged, message_id=message.message_id)
        if result.status != acl.OK:
            message.recipients.remove(recipient)
    return replies
