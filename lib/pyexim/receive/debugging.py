"""``control = debug``: debugging output of one session goes to a file beside the logs.

Spec: section "Use of the control modifier".  Not kept for the deliveries of the session's messages.
"""

from __future__ import annotations

import contextlib
import copy
import os
from typing import TYPE_CHECKING, Final

from pyexim.base.octets import is_digits
from pyexim.base.record import replace
from pyexim.base.taint import is_tainted
from pyexim.log.debug import Debug, parse_topics
from pyexim.log.log import Log

if TYPE_CHECKING:
    from pyexim.receive.session import Session

_WORDS: Final = ("tag", "opts", "pretrigger", "trigger")


class SessionDebug:
    """The debugging output of a session, from the first ``control = debug`` on; call it with the control's options."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._debug: Debug | None = None
        self._path = ""

    def __call__(self, text: str) -> Debug | None:
        """Start or stop; the output, where it is on now."""
        words = text.split("/") if text else []
        if "stop" in words or "kill" in words:
            self.stop(remove="kill" in words)
            return None
        given = {name: value for name, equals, value in (w.partition("=") for w in words) if equals and name in _WORDS}
        if words and not given:
            return self._debug
        tag, options = given.get("tag", ""), given.get("opts", "")
        debug = self._debug
        if debug is not None:
            debug.write(f'DEBUGGING ACTIVATED FROM WITHIN CONFIG.\nDEBUG: Tag="{tag}" opts="{options}"\n')
        else:
            debug = self._start(text, tag, options, given.get("pretrigger", ""))
            if debug is None:
                return None
        if given.get("trigger") == "now":
            debug.trigger()
        elif given.get("trigger") == "paniclog":
            debug.panic_triggers = True
        return debug

    def _start(self, text: str, tag: str, options: str, hold_back: str) -> Debug | None:
        log = self._session.services.log
        if not isinstance(log, Log):
            return None
        if tag and (is_tainted(text) or "/" in tag):
            log.panic(f'tainted tag for the debug log not permitted: "{tag}"')
            return None
        try:
            topics = parse_topics(options)
        except ValueError as e:
            log.panic(str(e))
            topics = parse_topics("")
        try:
            fd, self._path = log.open_debug_file(tag)
        except OSError as e:
            log.panic(f"failed to open the debug log: {e.strerror}")
            return None
        debug = Debug(topics, fd=fd, hold_back=int(hold_back) if is_digits(hold_back) else 0)
        self._debug = debug
        self._use(debug)
        return debug

    def _use(self, debug: Debug | None) -> None:
        """Give the session services of its own: other sessions of the process have no part in its output."""
        session = self._session
        log = copy.copy(session.services.log)
        assert isinstance(log, Log)
        log.debug = debug
        session.log = log
        session.services = session.scope.services = replace(session.services, log=log, debug=debug)

    def stop(self, *, remove: bool = False) -> None:
        """End the output; ``remove`` the file."""
        debug = self._debug
        if debug is None:
            return
        self._debug = None
        self._use(None)
        os.close(debug.fd)
        if remove:
            with contextlib.suppress(OSError):
                os.unlink(self._path)
