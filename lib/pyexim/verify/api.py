"""The entrance to verification: is this sender or recipient good?

Spec: section "Address verification" of the chapter "Access control lists".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyexim.base.record import dataclass, field
from pyexim.expand.scope import Scope
from pyexim.model.address import Address

if TYPE_CHECKING:
    from pyexim.verify.cutthrough import Cutthrough

OK, FAIL, DEFER = "ok", "fail", "defer"


@dataclass(slots=True)
class VerifyOptions:
    """The options after verify = sender/... or recipient/..."""

    callout: int | None = None
    """Time-out in seconds, None without callout."""
    defer_ok: bool = False
    success_on_redirect: bool = False
    quota: str | None = None
    callout_options: dict[str, str] = field(default_factory=dict)
    no_details: bool = False
    case_insensitive: bool = False
    cutthrough: Cutthrough | None = None
    """Where a recipient joins the held connection of its message instead of a callout."""

    def key(self) -> object:
        """Return what tells verifications of one address apart, for a cache."""
        if not self.callout_options and self.callout is None:
            return self.success_on_redirect
        return self.success_on_redirect, self.callout, tuple(sorted(self.callout_options.items()))


@dataclass(slots=True)
class Verified:
    """What verification found: ok, fail or defer, with texts for the client and the log."""

    status: str
    user_text: str = ""
    log_text: str = ""
    failure: str = ""
    """The word for $sender_verify_failure: qualify, route, mail, recipient, postmaster."""
    address: Address | None = None
    """As routed, for $address_data, $local_part_data, $domain_data."""
    smtp_code: int | None = None
    callout: bool = False
    """A callout has decided."""
    details: str = ""
    """The lines to be told about a sender, where they are others than the usual ones."""


def verify_address(address: str, role: str, scope: Scope, options: VerifyOptions) -> Verified:
    """Verify an address as "sender" or "recipient": rewriting is done by the caller, routing (and callout) here."""
    from pyexim.verify.routing import verify  # the implementation imports this module
    return verify(address, role, scope, options)
