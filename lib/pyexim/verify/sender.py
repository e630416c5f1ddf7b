"""Verification of a message's sender, once per message, and what a rejection tells about it.

The sender is rewritten first, and stays rewritten.  Results are kept for the message by address and
options; the details of a failure are told with the first rejection only.  Spec: sections "When does
rewriting happen?" and "Sender address verification reporting".
"""

from __future__ import annotations

from typing import Any

from pyexim.base.record import dataclass
from pyexim.expand.scope import Scope
from pyexim.rewrite.api import has_rules, rewrite_one
from pyexim.verify import api
from pyexim.verify.api import Verified, VerifyOptions


@dataclass(slots=True)
class SenderFailure:
    """A failure to be told with the next rejection."""

    address: str
    verified: Verified
    told: bool = False

    def details(self, with_defer: bool) -> str | None:
        """Return the lines that precede the rejection; nothing for a temporary failure unless asked for."""
        text = self.verified.user_text or self.verified.log_text
        if self.verified.details:
            return self.verified.details
        if self.verified.status == api.FAIL:
            return f"Verification failed for <{self.address}>\n{text}"
        return (self.verified.log_text or text) if with_defer else None

    def log_line(self) -> str:
        """Return the line for the main log, without the host before it."""
        text = self.verified.log_text
        return f"sender verify {self.verified.status} for <{self.address}>{': ' + text if text else ''}"


def verify_sender(address: str, scope: Scope, options: VerifyOptions, cache: dict[tuple[str, object], Any],
                  is_envelope: bool) -> tuple[str, Verified]:
    """Verify a sender address; (the address as rewritten, the result), from ``cache`` where it has been done."""
    key = address, options.key()
    known = cache.get(key)
    if known is not None:
        return known  # type: ignore[no-any-return]
    verified_address = address
    if has_rules(scope.config, "F"):
        verified_address = rewrite_one(address, "F", scope)
    result = verified_address, api.verify_address(verified_address, "sender", scope, options)
    if result[1].callout:
        # Not kept here: the callout cache answers the next time, and says so.
        return result
    cache[key] = result
    if verified_address != address:
        cache[verified_address, key[1]] = result
    return result
