"""What happens with syntax errors that a redirect router skips: logged, and reported by mail if wanted.

Spec: options skip_syntax_errors, syntax_errors_to and syntax_errors_text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyexim.base.errors import ExpansionError
from pyexim.base.octets import lower, to_bytes
from pyexim.expand.engine import expand
from pyexim.model.address import Address
from pyexim.routers.base import RouteRun

if TYPE_CHECKING:
    from pyexim.routers.redirect import Redirect


def report_filter_error(router: Redirect, error: str, run: RouteRun) -> None:
    """Log an error in a filter that is skipped, and send it to syntax_errors_to when this is a delivery."""
    _report(router, [error], "No valid addresses were generated.\n", run)


def report_syntax_errors(router: Redirect, address: Address, errors: list[str], run: RouteRun) -> None:
    """Log the errors of a list, and send them to syntax_errors_to when this is a delivery."""
    _report(router, errors, "Other addresses were processed normally.\n", run)


def _report(router: Redirect, errors: list[str], end: str, run: RouteRun) -> None:
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
    head = _origin(run)
    reference = [f"-E{message_id}"] if message_id is not None else []
    code = submit(["-t", "-oem", "-oi", "-f", "<>", *reference],
                  report(router.name, recipient, errors, intro, head, end))
    if code != 0:
        log.main(f"{router.name} router: report of syntax errors to {recipient} could not be sent (exit code {code})",
                 message_id=message_id)


def _origin(run: RouteRun) -> str:
    """Return the From: and References: fields of a report."""
    main, message = run.scope.config.main, run.scope.message
    domain = main.qualify_domain or run.scope.services.primary_hostname
    text = f"Mail Delivery System <Mailer-Daemon@{domain}>"
    if main.dsn_from is not None:
        try:
            text = expand(main.dsn_from, run.scope)
        except ExpansionError as e:
            run.scope.services.log.panic(f'failed to expand dsn_from "{main.dsn_from}": {e.text}')
    own = next((h.body.strip(" \t\n") for h in message.headers if lower(h.name) == "message-id" and h.type != "*"),
               None) if message is not None else None
    return f"From: {text}\n" + (f"References: {own}\n" if own else "")


def report(router: str, recipient: str, errors: list[str], intro: str, origin: str,
           end: str = "Other addresses were processed normally.\n") -> bytes:
    """Return the message that tells of the errors."""
    text = f"Auto-Submitted: auto-replied\n{origin}To: {recipient}\nSubject: error(s) in forwarding or filtering\n\n"
    if intro:
        text += intro.rstrip("\n") + "\n\n"
    text += f"The {router} router encountered the following error(s):\n\n"
    for error in errors:
        what, item = error.split(' in "', 1) if ' in "' in error and not end.startswith("No") else (error, "")
        text += f"  {what} in the address\n  \"{item}\n\n" if item else f"  {error}\n\n"
    return to_bytes(text + end)
