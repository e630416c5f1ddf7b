"""What happens with syntax errors that a redirect router skips: logged, and reported by mail if wanted.

Spec: options skip_syntax_errors, syntax_errors_to and syntax_errors_text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyexim.base.errors import ExpansionError
from pyexim.base.octets import to_bytes
from pyexim.expand.engine import expand
from pyexim.model.address import Address
from pyexim.routers.base import RouteRun

if TYPE_CHECKING:
    from pyexim.routers.redirect import Redirect


def report_syntax_errors(router: Redirect, address: Address, errors: list[str], run: RouteRun) -> None:
    """Log the errors, and send them to syntax_errors_to when this is a delivery."""
    message = run.scope.message
    log = run.scope.services.log
    message_id = message.message_id if message is not None else None
    for error in errors:
        log.main(f"{router.name} router: skipped error: {error}", message_id=message_id)
    target = router.options.syntax_errors_to
    if target is None or run.verify or run.address_test:
        return
    intro = ""
    if router.options.syntax_errors_text is not None:
        try:
            intro = expand(router.options.syntax_errors_text, run.scope)
        except ExpansionError as e:
            log.panic(f"failed to expand syntax_errors_text for {router.name} router: {e.text}", message_id=message_id)
    try:
        recipient = expand(target, run.scope)
    except ExpansionError as e:
        log.panic(f"failed to expand syntax_errors_to for {router.name} router: {e.text}", message_id=message_id)
        return
    submit = run.scope.services.submit
    if submit is None:
        return
    code = submit(["-i", "-f", "<>", recipient], report(recipient, address, errors, intro))
    if code != 0:
        log.main(f"{router.name} router: report of syntax errors to {recipient} could not be sent (exit code {code})",
                 message_id=message_id)


def report(recipient: str, address: Address, errors: list[str], intro: str) -> bytes:
    """Return the message that tells of the errors."""
    lines = [f"To: {recipient}", "Subject: error in redirection data for " + address.address.replace("\n", " "),
             "Auto-Submitted: auto-generated", ""]
    if intro:
        lines += [intro.rstrip("\n"), ""]
    lines += [f"The address {address.address} is redirected by a list in which the following",
              "errors were found; they have been skipped:", ""]
    lines += ["  " + error for error in errors]
    return to_bytes("\n".join(lines) + "\n")
