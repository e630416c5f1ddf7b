"""The base64 around a conversation: what a driver yields and receives, and what stands on the wire.

Spec: RFC 4954 section 4.
"""

from __future__ import annotations

import binascii
from typing import Final

from pyexim.auth.base import (
    BAD_BASE64,
    CANCELLED,
    DEFER,
    FAIL,
    UNEXPECTED,
    Authenticator,
    AuthRun,
    Verdict,
)
from pyexim.base.errors import ExpansionError, ForcedFail
from pyexim.base.octets import SPACE, to_bytes, to_text
from pyexim.base.pattern import lazy_pattern

CANCEL: Final = "*"
EMPTY: Final = "="
"""An initial response of no octets, which cannot be left out as one that is not there."""

_form: Final = lazy_pattern(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?\Z")
_NO_SPACE: Final = dict.fromkeys(map(ord, SPACE))


def encode(data: bytes) -> str:
    """Return octets in base64."""
    return to_text(binascii.b2a_base64(data, newline=False))


def decode(text: str) -> bytes | None:
    """Return the octets of base64, None for what is none.  White space does not count, as in Exim."""
    text = text.translate(_NO_SPACE)
    if _form.match(text) is None:  # the library's own strict mode lets "QQQQ=" pass
        return None
    return binascii.a2b_base64(to_bytes(text))


class ServerDialogue:
    """One AUTH command, from the server's side: lines in, challenges or a verdict out."""

    def __init__(self, driver: Authenticator, run: AuthRun) -> None:
        self.driver = driver
        self.run = run
        self._server = driver.server(run)

    def begin(self, initial: str) -> str | Verdict:
        """Take what came with the command ("" for nothing); the challenge in base64, or the verdict."""
        if initial:
            if not self.driver.takes_initial:
                return Verdict(UNEXPECTED)
            data = b"" if initial == EMPTY else decode(initial)
            if data is None:
                return Verdict(BAD_BASE64)
            self.run.initial = data
        return self._advance(None)

    def answer(self, line: str) -> str | Verdict:
        """Take the client's answer to a challenge; the next one, or the verdict."""
        if line == CANCEL:
            self._server.close()
            return Verdict(CANCELLED)
        data = decode(line)
        if data is None:
            self._server.close()
            return Verdict(BAD_BASE64)
        return self._advance(data)

    def _advance(self, data: bytes | None) -> str | Verdict:
        try:
            return encode(next(self._server) if data is None else self._server.send(data))
        except StopIteration as end:
            verdict: Verdict = end.value
            return verdict
        except ForcedFail:
            return Verdict(FAIL)
        except ExpansionError as e:
            return Verdict(DEFER, "", e.text)
