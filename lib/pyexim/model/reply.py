"""An SMTP reply: code, optional enhanced code inside its text, one or more lines."""

from __future__ import annotations

from pyexim.base.record import dataclass


@dataclass(frozen=True, slots=True)
class Reply:
    """A reply to an SMTP command.

    ``text`` has its lines separated by "\\n", without codes.  ``final`` replies (421, end of
    session) close the connection after they are sent.
    """

    code: int
    text: str
    final: bool = False

    def encode(self, multiline: bool = True) -> bytes:
        """Return the octets to send; without ``multiline`` only the last line (no_multiline_responses)."""
        lines = self.text.split("\n")
        if not multiline:
            lines = lines[-1:]
        out = [f"{self.code}-{line}\r\n" for line in lines[:-1]]
        out.append(f"{self.code} {lines[-1]}\r\n")
        return "".join(out).encode("latin-1")

    @property
    def temporary(self) -> bool:
        """A 4xx reply."""
        return 400 <= self.code < 500

    @property
    def permanent(self) -> bool:
        """A 5xx reply."""
        return self.code >= 500

    @property
    def positive(self) -> bool:
        """A 2xx or 3xx reply."""
        return 200 <= self.code < 400
