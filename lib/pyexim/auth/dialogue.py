"""The base64 around a conversation: what a driver yields and receives, and what stands on the wire.

Spec: RFC 4954 section 4.
"""

from __future__ import annotations

import binascii
from typing import Final, NamedTuple

from pyexim.auth.base import (
    BAD_BASE64,
    CANCELLED,
    DEFER,
    ERROR,
    FAIL,
    SKIPPED,
    UNEXPECTED,
    Authenticator,
    AuthRun,
    GaveUp,
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


class Line(NamedTuple):
    """A line that a client sends, and how logs show it: what may be secret is not."""

    text: str
    shown: str


class ClientDialogue:
    """One AUTH command, from the client's side: challenges in, lines or the reason for giving up out."""

    def __init__(self, driver: Authenticator, run: AuthRun) -> None:
        self.driver = driver
        self.run = run
        self._client = driver.client(run)
        self.answers = 0
        """So many challenges have been answered."""

    def begin(self) -> Line | GaveUp:
        """Return the AUTH command."""
        data = self._advance(None, first=True)
        if isinstance(data, GaveUp):
            return data
        command = f"AUTH {self.driver.public_name}"
        if data is None:
            return Line(command, command)
        text = encode(data) or EMPTY
        return Line(f"{command} {text}", f"{command} {'*' * len(text)}")

    def answer(self, challenge: str) -> Line | GaveUp:
        """Take a challenge, the text of a 334 reply behind its code; the answer."""
        data = self._advance(decode(challenge[1:]) if challenge[:1] == " " else None)
        if isinstance(data, GaveUp):
            return data
        self.answers += 1
        text = encode(data or b"")
        return Line(text, "*" * len(text))

    def _advance(self, data: bytes | None, *, first: bool = False) -> bytes | GaveUp | None:
        try:
            return next(self._client) if first else self._client.send(data)
        except StopIteration as end:
            reason: GaveUp = end.value
            return reason
        except ForcedFail:
            return GaveUp(SKIPPED)
        except ExpansionError as e:
            return GaveUp(ERROR, f'expansion of "{self.run.source}" failed in {self.driver.name} authenticator: '
                                 f"{e.text}")


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
            challenge = next(self._server) if data is None else self._server.send(data)
            return challenge if isinstance(challenge, str) else encode(challenge)
        except StopIteration as end:
            verdict: Verdict = end.value
            return verdict
        except ForcedFail:
            return Verdict(FAIL)
        except ExpansionError as e:
            return Verdict(DEFER, "", e.text)
