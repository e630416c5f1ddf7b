"""The few SMTP commands of a callout, one at a time over one connection.

A reply counts whatever its code; silence, an end of the stream and what is no reply raise TalkFailed.
RFC 5321 section 4.2.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Final

from pyexim.base.octets import shown
from pyexim.net.channel import Channel
from pyexim.net.connect import connect_tcp
from pyexim.smtp.client import parse_capabilities

if TYPE_CHECKING:
    from pyexim.log.debug import Dialogue
    from pyexim.tls.channel import TlsChannel

MAX_REPLY: Final = 65536
_LAST: Final = re.compile(r"(?:.*\n)?(\d{3})(?: [^\n]*|)\r?\n\Z", re.ASCII | re.DOTALL)


class TalkFailed(Exception):
    """The conversation cannot go on.  ``code`` 0: no reply; otherwise that of a refusal.

    ``error`` is what the system says of it; None where the reply was none.
    """

    def __init__(self, text: str, code: int = 0, sent: str = "", response: str = "",
                 error: OSError | None = None) -> None:
        super().__init__(text)
        self.text = text
        self.code = code
        self.sent = sent
        self.response = response
        self.error = error


class Talk:
    """One connection; ``sent`` is the last command, ``response`` the last reply without final line end."""

    def __init__(self, address: str, port: int, connect_timeout: float, timeout: float,
                 interface: str | None, dialogue: Dialogue | None = None, host_name: str = "") -> None:
        self.timeout = timeout
        self._dialogue = dialogue
        self._channel: Channel | TlsChannel | None = None
        self.sent = "initial connection"
        self.response = ""
        self.capabilities: dict[str, str] = {}
        if dialogue is not None:
            dialogue.connecting(host_name or address, address, port, interface)
        try:
            self._channel = Channel(connect_tcp(address, port, timeout=connect_timeout, interface=interface))
            if dialogue is not None:
                dialogue.connected()
        except OSError as e:
            if dialogue is not None:
                dialogue.failed(e.strerror or str(e))
            raise TalkFailed(os.strerror(e.errno) if e.errno else str(e)) from None

    def greeting(self) -> None:
        """Wait for the greeting; TalkFailed where it is no welcome."""
        self._welcome(self._reply())

    def plain(self) -> Channel:
        """Return the channel for TLS to be made of it; TalkFailed where more came in clear than the answer to
        STARTTLS: somebody may have put it there to be taken for what the server says."""
        assert isinstance(self._channel, Channel)
        if self.sent == "STARTTLS" and (self._channel.has_input() or any(
                line[3:4] != "-" for line in self.response.split("\n")[:-1])):
            self._drop()
            raise TalkFailed(f'response to "{self.sent}" was: {self.response!r}')
        return self._channel

    def encrypted(self, channel: TlsChannel | None) -> None:
        """Go on with an encrypted channel; None: TLS has failed, and there is no connection any more."""
        if channel is None:
            self._drop()
        self._channel = channel

    def hello(self, name: str, *, lmtp: bool) -> None:
        """Say EHLO, then HELO where that is refused, or LHLO; TalkFailed where both are."""
        code = self.command(f"{'LHLO' if lmtp else 'EHLO'} {name}")
        if code // 100 != 2 and not lmtp:
            code = self.command(f"HELO {name}")
        else:
            self.capabilities = parse_capabilities(self.response)
        self._welcome(code)

    def _welcome(self, code: int) -> None:
        if code // 100 != 2:
            raise TalkFailed(self.error(), code, self.sent, self.response)

    def command(self, text: str, shown: str | None = None, *, timeout: float | None = None) -> int:
        """Send a command and return the code of its reply; logs have it as ``shown``."""
        if "\r" in text or "\n" in text:
            raise TalkFailed("line end in a command")
        self.sent = text if shown is None else shown
        assert self._channel is not None
        if self._dialogue is not None:
            self._dialogue.sent(self.sent.encode("latin-1") + b"\r\n")
        try:
            self._channel.write(text.encode("latin-1") + b"\r\n", monotonic() + self.timeout)
        except OSError as e:
            raise TalkFailed(f'response to "{self.sent}" was: {self._what(e)}', error=e) from None
        return self._reply(timeout)

    def write(self, data: bytes, deadline: float) -> None:
        """Send octets of a message; TalkFailed."""
        assert self._channel is not None
        try:
            self._channel.write(data, deadline)
        except OSError as e:
            raise TalkFailed(f"sending the message: {self._what(e)}", error=e) from None

    def error(self) -> str:
        """Return the text for a log about the last reply."""
        response = self.response.replace("\n", "\\n")
        return f"SMTP error from remote mail server after {self.sent}: {response}"

    @staticmethod
    def _what(error: OSError) -> str:
        if isinstance(error, TimeoutError):
            return "timed out"
        return os.strerror(error.errno) if error.errno else "connection dropped"

    def _reply(self, timeout: float | None = None) -> int:
        data = b""
        deadline = monotonic() + (timeout or self.timeout)
        assert self._channel is not None
        while True:
            try:
                more = self._channel.read(deadline)
            except OSError as e:
                raise TalkFailed(f'response to "{self.sent}" was: {self._what(e)}', error=e) from None
            if not more:
                raise TalkFailed(f'response to "{self.sent}" was: connection dropped', error=ConnectionError())
            if self._dialogue is not None:
                self._dialogue.received(more)
            data += more
            text = data.decode("latin-1")
            match = _LAST.match(text)
            if match is not None:
                self.response = shown(text.replace("\r\n", "\n").rstrip("\n"))
                return int(match.group(1))
            if len(data) > MAX_REPLY or (text.endswith("\n") and not (text[:3].isascii() and text[:3].isdigit())):
                self.response = shown(text[:200].rstrip("\r\n"))
                self._drop()  # whoever talks like that is not told goodbye
                raise TalkFailed(f'response to "{self.sent}" was: {text[:200]!r}')

    def quit(self) -> None:
        """Say goodbye without waiting for an answer, and close."""
        if self._channel is None:
            return
        if self._dialogue is not None:
            self._dialogue.sent(b"QUIT\r\n")
        with suppress(OSError):
            self._channel.write(b"QUIT\r\n", monotonic() + 1)
        self._drop()

    def _drop(self) -> None:
        """Close without a word."""
        assert self._channel is not None
        self._channel.close()
        if self._dialogue is not None:
            self._dialogue.closed()
        self._channel = None

    def drop(self) -> None:
        """Close without a word."""
        if self._channel is not None:
            self._channel.close()
            self._channel = None
