"""What is asked for of TLS, as plain values that have been expanded already; and how it may fail.

Spec: chapter "Encrypted SMTP connections using TLS/SSL".
"""

from __future__ import annotations

from typing import Final

from pyexim.base.record import dataclass

DEFAULT_OPTIONS: Final = "+no_sslv2 +no_sslv3 +single_dh_use +no_ticket +no_renegotiation"
"""The default of openssl_options."""


class TlsFailure(Exception):
    """TLS could not be set up or has failed; ``str()`` is what a log line says between parentheses and after.

    ``configuration``: nothing the other side did; then a server answers 454 to STARTTLS, and a client defers.
    """

    def __init__(self, text: str, *, configuration: bool = False) -> None:
        super().__init__(text)
        self.configuration = configuration


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """A server's settings.  Empty strings and tuples stand for options that are unset."""

    certificates: tuple[str, ...] = ()
    """Files with certificates and their chains; none: one is made in memory."""
    privatekeys: tuple[str, ...] = ()
    """Files with the keys, in the same order; none: they are with the certificates."""
    verify_certificates: str = ""
    """"system", a file or a directory; "" where clients are not asked for a certificate."""
    crl: str = ""
    ciphers: str | None = None
    options: str = DEFAULT_OPTIONS
    tickets: bool = False
    """Sessions may be resumed: stands above +no_ticket."""
    dhparam: str = ""
    dh_max_bits: int = 2236
    curves: str = "auto"
    alpn: tuple[str, ...] = ()
    """Names that a client may offer; none: anything goes."""
    ocsp: tuple[str, ...] = ()
    """Files with proofs for the certificates, each perhaps after "DER " or "PEM "."""
    hostname: str = ""
    """For a certificate of our own making."""


@dataclass(frozen=True, slots=True)
class ClientSettings:
    """A client's settings, of the same kind."""

    certificates: tuple[str, ...] = ()
    privatekeys: tuple[str, ...] = ()
    verify_certificates: str = "system"
    crl: str = ""
    ciphers: str | None = None
    options: str = DEFAULT_OPTIONS
    tickets: bool = False
    alpn: tuple[str, ...] = ()
    ocsp: bool = False
    """Ask for an OCSP proof."""
