"""Authenticating as a client: which mechanisms are tried, and what comes of each attempt.

A conversation without I/O: :func:`authenticate` yields the lines to send and receives the server's replies; what
goes wrong with the connection ends it from outside.  Who wants it, and what follows, is the smtp transport's business.

Spec: section "Authentication by an Exim client"; RFC 4954.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Final

from pyexim.auth.base import (
    CANCELLED,
    ERROR,
    SKIPPED,
    UNEXPECTED_CHALLENGE,
    Authenticator,
    AuthRun,
    GaveUp,
)
from pyexim.auth.dialogue import CANCEL, ClientDialogue, Line
from pyexim.base.errors import ExpansionError, ForcedFail
from pyexim.base.octets import lower, to_bytes
from pyexim.base.record import dataclass
from pyexim.expand.engine import expand
from pyexim.expand.scope import Scope

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyexim.smtp.client import Answer

CONTENT, REFUSED, NONE = "content", "refused", "none"
_CANCEL_LINE: Final = Line(CANCEL, CANCEL)
_FALSE: Final = frozenset({"", "0", "no", "false"})
NO_MECHANISM: Final = "no common mechanisms were found"
ALL_FAILED: Final = "authentication attempt(s) failed"


@dataclass(slots=True)
class Authenticated:
    """What came of it all.

    CONTENT: the server is, and ``name`` is the authenticator's; ``set_id`` what client_set_id says of us.
    REFUSED: ``answer``, to the line shown as ``shown``, speaks against any further attempt.
    ERROR: ``text``, of the configuration, does.
    NONE: no attempt has succeeded, or none was made: ``text`` says which.
    """

    status: str
    name: str = ""
    set_id: str = ""
    text: str = ""
    answer: Answer | None = None
    shown: str = ""


Conversation = Generator[Line, "Answer", Authenticated]


def authenticate(drivers: list[Authenticator], mechanisms: str, scope: Scope, who: str, message_id: str | None,
                 event: Callable[[str, str], object] | None = None) -> Conversation:
    """Try the authenticators that are clients, in their order, with those mechanisms that the server offers.

    ``who`` is the host in log lines ("H=..."); ``event`` is told of the authenticator and the reply that refused it.
    """
    offered = lower(mechanisms).split(" ")
    tried = False
    log = scope.services.log
    for driver in drivers:
        if not _wanted(driver, scope, message_id) or lower(driver.public_name) not in offered:
            continue
        run = AuthRun(scope, driver.name)
        run.clear()
        try:
            outcome = yield from _attempt(driver, run)
            if not isinstance(outcome, GaveUp):
                if outcome.answer is None or outcome.status == REFUSED:
                    return outcome
                tried = True
                text = outcome.answer.text.replace("\n", "\\n")
                log.main(f"{driver.name} authenticator failed {who} {text}", message_id=message_id)
                if event is not None:
                    event(driver.name, outcome.answer.text)
            elif outcome.status == ERROR:
                return Authenticated(ERROR, text=outcome.text)
            elif outcome.status == CANCELLED:
                tried = True
                log.main(f"{driver.name} authenticator cancelled authentication {who} {outcome.text}",
                         message_id=message_id)
        finally:
            run.clear()
    return Authenticated(NONE, text=ALL_FAILED if tried else NO_MECHANISM)


def _attempt(driver: Authenticator, run: AuthRun) -> Generator[Line, Answer, Authenticated | GaveUp]:
    """Try one authenticator; NONE with an answer: it was refused for good."""
    dialogue = ClientDialogue(driver, run)
    line = dialogue.begin()
    if isinstance(line, GaveUp):
        return line
    while True:
        answer = yield line
        if answer.positive and dialogue.answers >= driver.least_answers:
            return Authenticated(CONTENT, driver.name, _identity(driver, run))
        if answer.code // 100 == 5:
            return Authenticated(NONE, answer=answer)
        step = dialogue.answer(answer.text[3:]) if answer.code == 334 else GaveUp(UNEXPECTED_CHALLENGE)
        if not isinstance(step, GaveUp):
            line = step
            continue
        if step.status == UNEXPECTED_CHALLENGE:
            return Authenticated(REFUSED, answer=answer, shown=line.shown)
        yield _CANCEL_LINE  # whatever the answer is: nothing hangs on it
        if step.status == CANCELLED:
            text = answer.text.replace("\n", "\\n")
            return GaveUp(CANCELLED, f'{step.text} "{text}"')
        return step


def _wanted(driver: Authenticator, scope: Scope, message_id: str | None) -> bool:
    """Tell what client_condition says."""
    source = driver.options.client_condition
    if source is None:
        return True
    try:
        return lower(expand(source, scope)) not in _FALSE
    except ForcedFail:
        return False
    except ExpansionError as e:
        scope.services.log.panic(f'failed to expand condition "{source}" for {driver.name} client authenticator: '
                                 f"{e.text}", message_id=message_id)
        return False


def _identity(driver: Authenticator, run: AuthRun) -> str:
    """Return what client_set_id gives; "" where it is unset or cannot be expanded."""
    source = driver.options.client_set_id
    if source is None:
        return ""
    try:
        return run.expand(source)
    except ExpansionError:
        return ""


def fingerprint(drivers: list[Authenticator], scope: Scope) -> str:
    """Return a digest of what the client's options say for the message and host at work.

    Two messages for which it is the same authenticate alike, so that one may use the other's connection.
    """
    import hashlib  # only where connections that authenticate are kept

    digest = hashlib.sha256()
    for driver in drivers:
        for source in driver.client_sources:
            try:
                text = "=" + expand(source, scope)
            except ForcedFail:
                text = SKIPPED
            except ExpansionError:
                text = ERROR
            digest.update(to_bytes(f"{len(text)}:{text}"))
    return digest.hexdigest()
